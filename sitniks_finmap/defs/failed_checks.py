"""The checks that failed in a run, in words."""

from dataclasses import dataclass

import dagster as dg


@dataclass(frozen=True)
class Failed:
    """A check that failed."""

    problem: str
    what_to_do: str


def failed_checks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[Failed]:
    """The checks that failed in a run, including one that stopped it."""
    results: dict[str, Failed | None] = {}
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        if entry.dagster_event is None:
            continue
        evaluation = entry.dagster_event.asset_check_evaluation_data
        results.setdefault(evaluation.check_name, None if evaluation.passed else _in_words(evaluation))
    return [failed for failed in results.values() if failed]


def _in_words(evaluation: dg.AssetCheckEvaluation) -> Failed:
    """A failed check in words; one evaluated by an earlier version has only a name and numbers."""
    said = {name: str(value.value) for name, value in evaluation.metadata.items()}
    numbers = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in said.items())
    name = f'"{evaluation.check_name.replace("_", " ")}"'
    problem = said.get("problem") or evaluation.description or f"{name} is not true ({numbers})"
    return Failed(problem, said.get("what_to_do") or "`sitniks-finmap status` shows what to do.")
