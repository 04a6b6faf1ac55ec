"""Alerts: one when something starts to need attention, one when it is over."""

import logging
import os
import re
from dataclasses import dataclass

import apprise
import dagster as dg

log = logging.getLogger(__name__)
logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it logs invalid URLs with their tokens

EARLIER = 20  # how many earlier runs to look at
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def alert_urls() -> list[str]:
    """The services of ALERT_URLS, in apprise's notation (tgram://…, slack://…, mailto://…)."""
    return [url for url in re.split(r"[\s,]+", os.environ.get("ALERT_URLS", "")) if url]


def send(title: str, body: str) -> bool:
    """Logs a message and sends it to ALERT_URLS; returns whether it was sent. Never raises, so it stops no run."""
    log.warning("%s: %s", title, body)
    urls = alert_urls()
    if not urls:
        return False
    messenger = apprise.Apprise()
    usable = [messenger.add(url) for url in urls]
    sent = bool(messenger.notify(title=title, body=body))
    if not sent or not all(usable):
        # URLs contain tokens: never log them.
        log.error("an alert could not be sent to every service in ALERT_URLS; check them with `apprise -vv`")
    return sent


def connection_of(run: dg.DagsterRun) -> str | None:
    """The connection of a run: from its tag, or from its assets if a person clicked Materialize."""
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
    """Whether the previous run of the same kind failed: a delivery or preview says nothing about a sync."""
    same_job = earlier_runs(instance, run, run.job_name)
    before = next((one for one in same_job if one.asset_selection == run.asset_selection), None)
    return before is not None and before.status is dg.DagsterRunStatus.FAILURE


@dataclass(frozen=True)
class Failed:
    """A check that failed, in words."""

    problem: str
    what_to_do: str


def check_results(instance: dg.DagsterInstance, *runs: dg.DagsterRun) -> dict[str, Failed | None]:
    """The latest result of each check in these runs, given newest first: name → None if it passed."""
    results: dict[str, Failed | None] = {}
    for run in runs:
        for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
            if entry.dagster_event is None:
                continue
            evaluation = entry.dagster_event.asset_check_evaluation_data
            results.setdefault(evaluation.check_name, None if evaluation.passed else _in_words(evaluation))
    return results


def failed_checks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[Failed]:
    """The checks that failed in a run, including one that stopped it."""
    return [failed for failed in check_results(instance, run).values() if failed]


def _in_words(evaluation: dg.AssetCheckEvaluation) -> Failed:
    """A failed check in words; one evaluated by an earlier version has only a name and numbers."""
    said = {name: str(value.value) for name, value in evaluation.metadata.items()}
    numbers = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in said.items())
    problem = (
        said.get("problem") or evaluation.description or f"{_spaced(evaluation.check_name)} is not true ({numbers})"
    )
    return Failed(problem, said.get("what_to_do") or "`sitniks-finmap status` shows what to do.")


def _spaced(check_name: str) -> str:
    return f'"{check_name.replace("_", " ")}"'


@dg.run_failure_sensor(
    name="failed_run_alert",
    description="Sends one message when a connection's runs start failing, not one per failure.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def failed_run_alert(context: dg.RunFailureSensorContext) -> None:
    run = context.dagster_run
    connection = connection_of(run)
    if connection is None or failed_before(context.instance, run):
        return
    reasons = [event.event_specific_data for event in context.get_step_failure_events()]
    said = [getattr(getattr(reason, "user_failure_data", None), "description", None) for reason in reasons]
    if not any(said):  # a blocking check stopped the run, and Dagster only names it
        said = [f"{check.problem} {check.what_to_do}" for check in failed_checks(context.instance, run)]
    why = "; ".join(dict.fromkeys(one for one in said if one)) or context.failure_event.message or ""
    what = "delivery" if run.job_name.endswith("_deliver") else "sync"
    send(
        f"{connection}: the {what} failed",
        f"{why}\nDetails: run {run.run_id} in the Dagster UI. It will be retried automatically; you will be notified "
        "when it succeeds.",
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="checks_alert",
    description="Sends one message when an asset check starts failing, and one when all checks pass again.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def checks_alert(context: dg.RunStatusSensorContext) -> None:
    run = context.dagster_run
    connection = connection_of(run)
    if connection is None:
        return
    # A delivery or preview evaluates only some checks: the others keep their last result.
    was = check_results(context.instance, *earlier_runs(context.instance, run))
    now = was | check_results(context.instance, run)
    begun = [failed for check, failed in now.items() if failed and was.get(check) is None]
    for failed in begun:
        send(f"{connection}: {failed.problem}", failed.what_to_do)
    over = [check for check, failed in was.items() if failed]
    if failed_before(context.instance, run):
        what = "delivery" if run.job_name.endswith("_deliver") else "sync"
        send(f"{connection}: the {what} works again", f"Run {run.run_id} succeeded.")
    elif over and not any(now.values()):
        send(f"{connection}: all checks pass again", f"No longer failing: {', '.join(sorted(map(_spaced, over)))}.")
