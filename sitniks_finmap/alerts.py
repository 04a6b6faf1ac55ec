"""Messages to people: one when something begins to need a human, one when it is over."""

import logging
import os
import re

import apprise
import dagster as dg

log = logging.getLogger(__name__)
logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it logs a URL that it cannot read, with the token in it

EARLIER = 20  # runs that are looked back upon
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def alert_urls() -> list[str]:
    """The services of ALERT_URLS, in apprise's notation (tgram://…, slack://…, mailto://…)."""
    return [url for url in re.split(r"[\s,]+", os.environ.get("ALERT_URLS", "")) if url]


def send(title: str, body: str) -> bool:
    """Sends one message to everybody; without ALERT_URLS it is logged. Never raises: an alert stops no run."""
    log.warning("%s: %s", title, body)
    urls = alert_urls()
    if not urls:
        return False
    messenger = apprise.Apprise()
    usable = [messenger.add(url) for url in urls]
    sent = bool(messenger.notify(title=title, body=body))
    if not sent or not all(usable):
        # The URL holds a token and is not written to the log.
        log.error("an alert could not be sent to every service of ALERT_URLS; check them with `apprise -vv`")
    return sent


def connection_of(run: dg.DagsterRun) -> str | None:
    """Whose run it is: by its tag, or by its assets where a person pressed Materialize."""
    if tagged := run.tags.get("connection"):
        return tagged
    names = {key.path[0] for key in run.asset_selection or ()}
    return names.pop() if len(names) == 1 else None


def earlier_runs(instance: dg.DagsterInstance, run: dg.DagsterRun, job: str | None = None) -> list[dg.DagsterRun]:
    """The runs of the same connection, or of one job of it, that finished before this one, newest first."""
    same = dg.RunsFilter(tags={"connection": connection_of(run) or ""}, statuses=FINISHED, job_name=job)
    runs = [record.dagster_run for record in instance.get_run_records(same, limit=EARLIER)]
    ids = [one.run_id for one in runs]
    return runs[ids.index(run.run_id) + 1 :] if run.run_id in ids else runs


def failed_before(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the run before this one failed; a delivery or a preview says nothing about a sync."""
    same_job = earlier_runs(instance, run, run.job_name)
    before = next((one for one in same_job if one.asset_selection == run.asset_selection), None)
    return before is not None and before.status is dg.DagsterRunStatus.FAILURE


def check_results(instance: dg.DagsterInstance, *runs: dg.DagsterRun) -> dict[str, str | None]:
    """The checks that these runs evaluated, newest first: name → None when it passed, else its numbers."""
    results: dict[str, str | None] = {}
    for run in runs:
        for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
            if entry.dagster_event is None:
                continue
            evaluation = entry.dagster_event.asset_check_evaluation_data
            numbers = ", ".join(f"{name} {value.value}" for name, value in evaluation.metadata.items())
            results.setdefault(evaluation.check_name, None if evaluation.passed else numbers)
    return results


@dg.run_failure_sensor(
    name="failed_run_alert",
    description="One message when the runs of a connection begin to fail; none for each further failure.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def failed_run_alert(context: dg.RunFailureSensorContext) -> None:
    run = context.dagster_run
    connection = connection_of(run)
    if connection is None or failed_before(context.instance, run):
        return
    reasons = [event.event_specific_data for event in context.get_step_failure_events()]
    said = "; ".join(
        str(getattr(getattr(reason, "user_failure_data", None), "description", None) or "") for reason in reasons
    )
    send(
        f"{connection}: the sync failed",
        f"{said or context.failure_event.message or ''}\nRun {run.run_id} in the Dagster UI tells more. "
        "It is tried again by itself; a message follows when it succeeds.",
    )  # fmt: skip


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="checks_alert",
    description="One message when an asset check begins to fail, and one when everything is well again.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def checks_alert(context: dg.RunStatusSensorContext) -> None:
    run = context.dagster_run
    connection = connection_of(run)
    if connection is None:
        return
    # A delivery or a preview evaluates some of the checks only: the others stand as they were last seen.
    was = check_results(context.instance, *earlier_runs(context.instance, run))
    now = was | check_results(context.instance, run)
    begun = [check for check, numbers in now.items() if numbers is not None and was.get(check) is None]
    for check in begun:
        send(f"{connection}: {check}", f"{now[check]}\n`sitniks-finmap status` shows what to do.")
    over = [check for check, numbers in was.items() if numbers is not None]
    if failed_before(context.instance, run):
        send(f"{connection}: the sync works again", f"Run {run.run_id} succeeded.")
    elif over and not any(numbers is not None for numbers in now.values()):
        send(f"{connection}: all checks pass again", ", ".join(sorted(over)))
