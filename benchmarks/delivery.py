"""Delivering operations: ours with ledger and audit log, and a bare loop that posts and keeps nothing."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import requests

from sitniks_finmap.clients.finmap import ACCOUNT_FIELD
from sitniks_finmap.pipeline.courier import Courier
from sitniks_finmap.pipeline.directory import read_directory, save_directory
from sitniks_finmap.pipeline.ledger import State
from sitniks_finmap.pipeline.reading import store
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive

from .contenders import Effort, in_fresh_process, measure, open_run, show, show_ratio
from .server import FIRST_DAY, LAST_DAY, Served, serving

AIM_BARE = 0.5
AIM_DEVIATION = 10.0  # percent of the configured rate
Contender = Callable[[Served, Path, str], Effort]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=150.0, help="operations per second of the limited delivery")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long the limited delivery should take")
    options = parser.parse_args()
    compare(options.operations, options.rounds)
    keep_the_rate(options.rate, round(options.rate * options.seconds), options.rounds)


def compare(operations: int, rounds: int) -> None:
    contenders: dict[str, Contender] = {"ours": ours, "bare loop": bare}
    efforts: dict[str, list[Effort]] = {name: [] for name in contenders}
    empty = {name: [f"{name.split()[0]}_{number}" for number in range(rounds)] for name in contenders}
    with serving(operations, further_shops=[shop for shops in empty.values() for shop in shops]) as served:
        for number in range(rounds):
            for name, contender in contenders.items():
                effort = _in_own_folder(contender, served, empty[name][number])
                if effort.items != operations:
                    raise SystemExit(f"{name} delivered {effort.items} of {operations} operations")
                efforts[name].append(effort)
    print(f"{operations:,} operations, medians of {rounds} rounds")
    for name in contenders:
        show(name, "operations", efforts[name])
    show_ratio("ours to the bare loop", efforts["ours"], efforts["bare loop"], AIM_BARE)


def keep_the_rate(rate: float, operations: int, rounds: int) -> None:
    shops = [f"limited_{number}" for number in range(rounds)]
    with serving(operations, further_shops=shops) as served:
        efforts = [_in_own_folder(ours, served, shop, rate=rate) for shop in shops]
    show(f"ours at {rate:g}/s", "operations", efforts)
    deviations = [(effort.per_second / rate - 1) * 100 for effort in efforts]
    least, middle, most = min(deviations), median(deviations), max(deviations)
    verdict = "reached" if abs(middle) <= AIM_DEVIATION else "MISSED"
    print(
        f"{'from the rate':<24}{middle:>+10.1f} % ({least:+.1f} to {most:+.1f}); aim {AIM_DEVIATION:.0f} %: {verdict}"
    )


def _in_own_folder(contender: Callable[..., Effort], *args: Any, **more: Any) -> Effort:
    served, shop = args
    with TemporaryDirectory() as folder:
        return in_fresh_process(contender, served, Path(folder), shop, **more)


# -- Ours: plan, several requests in flight, and what came of each in the warehouse. --


def ours(served: Served, folder: Path, shop: str, rate: float = 0.0) -> Effort:
    """Delivers the transactions of "demo" into the Finmap of `shop`."""
    run = ready(served, folder, shop, rate)
    courier = Courier(run.warehouse, run.finmap, retry_every=run.connection.retry_every, run_id=run.run_id)
    return measure(lambda: courier.deliver(FIRST_DAY, LAST_DAY).states.get(State.SENT, 0))


def ready(served: Served, folder: Path, shop: str, rate: float = 0.0) -> ConnectionRun:
    """A run whose warehouse has every operation of "demo", none of them delivered."""
    run = open_run(served, folder, finmap=shop, finmap_requests_per_second=rate)
    rows = run.sitniks.transactions(*run.bounds(FIRST_DAY, LAST_DAY))
    directory = read_directory(run.finmap, run.connection)
    with run.warehouse.transaction() as con:
        store(con, run, "transactions", rows, FIRST_DAY, LAST_DAY)
        save_directory(con, run.connection, directory)
        derive(con, FIRST_DAY, LAST_DAY)
    return run


# -- The bare loop: one thread, one session, the same bodies. --


def bare(served: Served, folder: Path, shop: str) -> Effort:
    run = ready(served, folder, shop)
    with run.warehouse.transaction() as con:
        rows = con.execute(
            "select external_id, type, amount, occurred_at, account, comment from operations order by occurred_at desc"
        ).fetchall()
    wanted = [(type, _body(external_id, type, *rest)) for external_id, type, *rest in rows]
    return measure(lambda: post(served, shop, wanted))


def _body(external_id: str, type: str, amount: Any, at: datetime, account: str, comment: str) -> dict[str, Any]:
    return {
        "externalId": external_id,
        "amount": float(amount),
        "date": round(at.astimezone(UTC).timestamp() * 1000),
        ACCOUNT_FIELD[type]: account,
        "comment": comment,
    }


def post(served: Served, shop: str, operations: list[tuple[str, dict[str, Any]]]) -> int:
    """Returns how many were created."""
    created = 0
    with requests.Session() as session:
        session.headers["apiKey"] = served.finmap_keys[shop]
        for type, body in operations:
            answer = session.post(f"{served.finmap_url}/operations/{type}", json=body, timeout=60).json()
            created += answer["statusCode"] == "1"
    return created


if __name__ == "__main__":
    main()
