"""Messages to people: one when something begins to need a human, one when it is over."""

import logging
import os
import re

import apprise
import dagster as dg

log = logging.getLogger(__name__)

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


def previous_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun | None:
    """The run of the same connection that finished before this one."""
    same = dg.RunsFilter(tags={"connection": run.tags["connection"]}, statuses=FINISHED)
    runs = [record.dagster_run for record in instance.get_run_records(same, limit=20)]
    ids = [one.run_id for one in runs]
    later = ids.index(run.run_id) + 1 if run.run_id in ids else 0
    return runs[later] if later < len(runs) else None


def failed_checks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, str]:
    """The checks that did not pass in a run: name → numbers."""
    failed = {}
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        if entry.dagster_event is None:
            continue
        evaluation = entry.dagster_event.asset_check_evaluation_data
        if not evaluation.passed:
            numbers = ", ".join(f"{name} {value.value}" for name, value in evaluation.metadata.items())
            failed[evaluation.check_name] = numbers
    return failed


@dg.run_failure_sensor(
    name="failed_run_alert",
    description="One message when the runs of a connection begin to fail; none for each further failure.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def failed_run_alert(context: dg.RunFailureSensorContext) -> None:
    run = context.dagster_run
    if "connection" not in run.tags:
        return
    before = previous_run(context.instance, run)
    if before and before.status is dg.DagsterRunStatus.FAILURE:
        return
    reasons = [event.event_specific_data for event in context.get_step_failure_events()]
    said = "; ".join(
        str(getattr(getattr(reason, "user_failure_data", None), "description", None) or "") for reason in reasons
    )
    send(
        f"{run.tags['connection']}: the sync failed",
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
    if "connection" not in run.tags:
        return
    connection = run.tags["connection"]
    before = previous_run(context.instance, run)
    now_failed = failed_checks(context.instance, run)
    was_failed = failed_checks(context.instance, before) if before else {}
    for check in now_failed.keys() - was_failed.keys():
        send(f"{connection}: {check}", f"{now_failed[check]}\n`sitniks-finmap status` shows what to do.")
    if before and before.status is dg.DagsterRunStatus.FAILURE:
        send(f"{connection}: the sync works again", f"Run {run.run_id} succeeded.")
    elif was_failed and not now_failed:
        send(f"{connection}: all checks pass again", ", ".join(sorted(was_failed)))
