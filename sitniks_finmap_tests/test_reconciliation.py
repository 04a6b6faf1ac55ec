"""Both sides compared: each kind of difference under its own name, sums exact to the kopiyka, alarms without names."""

import json
import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from sitniks_finmap.defs.checks import asset_checks
from sitniks_finmap.pipeline.decisions import catch_up
from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.books import DAY, TODAY, Books, days_ago, stamp

pytestmark = pytest.mark.runs

Keep = Callable[..., Books]


def post(books: Books, external_id: str, amount: int = 100, kind: str = "income", **more: Any) -> None:
    """Somebody writes an operation into Finmap under any key."""
    account = {"accountToId" if kind == "income" else "accountFromId": books.shop.accounts[0]["id"]}
    date = round(days_ago(1).timestamp() * 1000)
    body = {"externalId": external_id, "amount": amount, "date": date, **account, **more}
    assert books.run.finmap.api.write("POST", f"/operations/{kind}", json.dumps(body).encode()).status == 201


def details(books: Books) -> dict[str, str]:
    return dict(books.rows("select coalesce(transaction_id, external_id), detail from differences"))


def check(books: Books, name: str) -> dg.AssetCheckResult:
    found = []
    for checks in asset_checks(books.run.connection):
        found += checks(dg.build_asset_check_context(resources={"u1": books.run}))  # type: ignore[operator]
    return next(result for result in found if result.check_name == name)


# -- Every kind of difference ------------------------------------------------------------------------------------


def test_what_a_person_knows_or_decides_is_explained(keep_books: Keep) -> None:
    books = keep_books(on_change="ask", on_delete="ask")
    books.sell(8, at=days_ago(8))
    books.read()
    assert catch_up(books.warehouse, days_ago(8).date()) == 1
    books.sell_many(4)
    books.sync()
    assert books.differences() == [("tx_8", "skipped", True)]

    books.throw_out_and_be_believed(2)
    books.edit(1, amount="99.99")
    books.sell(3, "5.00")
    books.unsell(4)
    books.sell(5, "сто")
    books.sell(6, date=stamp(days_ago(0, hour=23)))
    books.sell(7)
    books.sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/income", status=400))
    books.sync()
    books.sell(9)
    books.read()  # and no time was left to deliver it
    books.look()

    assert books.differences() == [
        ("tx_1", "edited by a person", True),
        ("tx_2", "deleted by a person", True),
        ("tx_3", "pending", True),
        ("tx_4", "pending", True),
        ("tx_5", "rejected", True),
        ("tx_6", "scheduled", True),
        ("tx_7", "refused", True),
        ("tx_8", "skipped", True),
        ("tx_9", "scheduled", True),
    ]
    said = details(books)
    assert said["tx_1"] == "amount"
    assert said["tx_2"] == "recreate: a person deleted it in Finmap"
    assert said["tx_3"] == "update: on_change is ask"
    assert said["tx_4"] == "withdraw: gone from Sitniks, and on_delete is ask"
    assert said["tx_5"] == "unreadable amount"
    assert said["tx_6"] == "create"
    assert said["tx_7"].startswith("create: 400")
    assert said["tx_9"] == "create"
    assert check(books, "no_unexplained_difference").passed
    assert not check(books, "no_changes_are_pending").passed


EDITS = {
    "amount": {"amount": "99.99"},
    "date": {"date": days_ago(2)},
    "account": {"accountToId": "<ФОП>"},
    "comment": {"comment": "щось інше"},
}


def test_what_nobody_can_explain_is_named_by_its_kind(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Finmap shows otherwise than it was told, and was never seen equal, could be anybody's doing: even ours."""
    books.sell_many(6)
    books.read()
    books.deliver()
    for number, edit in enumerate(EDITS.values(), 1):
        fop = {"accountToId": books.shop.accounts[1]["id"]}
        books.edit(number, **(fop if "accountToId" in edit else edit))
    books.look()
    different = [(f"tx_{n}", "different", False) for n in (1, 2, 3)]
    assert books.differences() == [*different, ("tx_4", "stored differently", True)]
    assert [said for _, said in sorted(details(books).items())][3] == "comment"

    books.throw_out(6)
    monkeypatch.setattr("sitniks_finmap.pipeline.readback.LOOK_UPS", 0)  # it was not looked for yet
    post(books, "u1:tx_77", 7)
    books.look()
    found = books.rows("select coalesce(transaction_id, external_id), kind, explained from differences order by 1")
    assert found[4:] == [("tx_6", "missing", False), ("u1:tx_77", "unexpected", False)]

    monkeypatch.undo()
    for _ in range(3):
        books.sync()
    assert ("tx_6", "deleted by a person", True) in books.differences()  # looked for twice, hours apart


def test_a_second_generation_in_finmap_is_unexpected(keep_books: Keep) -> None:
    """Its money would count twice."""
    books = keep_books(max_change_share=1.0)
    books.sell(1)
    books.sync()
    books.sell(1, "-100.00")
    books.sync()
    assert books.differences() == []
    post(books, "u1:tx_1:3")
    books.look()
    assert books.rows("select external_id, kind, explained from differences") == [("u1:tx_1:3", "unexpected", False)]


def test_operations_of_other_connections_are_no_difference(books: Books) -> None:
    books.sell(1)
    for external_id in ("u12:tx_1", "u2:tx_1", "manual"):
        post(books, external_id, 7)
    books.sync()
    assert books.differences() == []
    assert books.rows("select sum(finmap_income_sum) from reconciliation") == [(Decimal("100.00"),)]


def test_a_difference_goes_with_its_reason(books: Books) -> None:
    books.sell_many(2)
    books.sync()
    books.edit(1, amount="1.00")
    books.sell(2, "сто")
    books.sync()
    assert len(books.differences()) == 3
    books.edit(1, amount="100.00")
    books.sell(2)
    books.sync()
    assert books.differences() == []


def test_what_was_not_read_again_stays_different(books: Books) -> None:
    books.sell(1)
    books.sell(2, at=days_ago(8))
    books.sync()
    books.edit(1, amount="1.00")
    books.edit(2, amount="1.00")
    books.sync()
    books.edit(1, amount="100.00")
    books.edit(2, amount="100.00")
    books.sync(TODAY - timedelta(days=2), TODAY)
    assert books.differences() == [("tx_2", "edited by a person", True)]


# -- Sums --------------------------------------------------------------------------------------------------------


def test_sums_per_day_and_account_are_exact_to_the_kopiyka(keep_books: Keep) -> None:
    books = keep_books(accounts={"7": "ФОП"})
    rng = random.Random(1)
    accounts = {1: books.shop.accounts[0]["id"], 7: books.shop.accounts[1]["id"]}
    sums: dict[tuple[date, str], list[Any]] = {}
    for number in range(1, 201):
        days, account = rng.randrange(1, 5), rng.choice([1, 7])
        amount = Decimal(rng.randrange(-9_999_999, 10_000_000) or 1) / 100
        books.sell(number, str(amount), at=days_ago(days), settlementAccountId=account)
        row = sums.setdefault((days_ago(days).date(), accounts[account]), [0, Decimal(0), 0, Decimal(0)])
        side = 2 if amount < 0 else 0
        row[side], row[side + 1] = row[side] + 1, row[side + 1] + abs(amount)
    books.sync()
    query = "select day, account, * exclude (day, account) from reconciliation order by day, account"
    assert {row[:2]: list(row[2:]) for row in books.rows(query)} == {key: row * 2 for key, row in sums.items()}

    # One kopiyka more, and one operation of the other side of the ledger less, show in their own day and account.
    has = books.finmap()
    one = next(row for row in has.values() if row["type"] == "income")
    other = next(row for row in has.values() if row["type"] == "expense")
    books.shop.edit_operation(one["externalId"], amount=one["sum"] + Decimal("0.01"))
    books.shop.delete_operation(other["externalId"])
    books.look()
    changed = {row[:2]: row[2:] for row in books.rows(query) if row[2:6] != row[6:]}
    sides = [[a - b for a, b in zip(row[4:], row[:4], strict=True)] for row in changed.values()]
    assert [sum(column) for column in zip(*sides, strict=True)] == [0, Decimal("0.01"), -1, -other["sum"]]
    assert len(changed) <= 2


def test_both_sides_count_an_operation_on_its_transactions_day(books: Books) -> None:
    """Its date may be another day: the shop wrote the payment down a day later, or a person moved it."""
    books.sell(1, at=days_ago(1), date=stamp(days_ago(3)))
    books.sync()
    books.edit(1, date=days_ago(5))
    books.look()
    assert books.rows("select day, sitniks_income_sum, finmap_income_sum from reconciliation") == [(DAY, 100, 100)]


# -- The alarm ---------------------------------------------------------------------------------------------------


def test_an_unexplained_difference_warns_with_numbers_not_names(books: Books) -> None:
    books.sell(1, counterparty="Олена Коваль")
    books.sell(2, counterparty="Олена Коваль")
    books.sync()
    assert check(books, "no_unexplained_difference").passed
    post(books, "u1:tx_77", 7, comment="від Олени Коваль")
    post(books, "u1:tx_78", 5, kind="expense", comment="для Олени Коваль")
    books.edit(2, amount="1.00")
    books.look()
    result = check(books, "no_unexplained_difference")
    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.WARN
    numbers = {name: one.value for name, one in result.metadata.items() if isinstance(one.value, int | float)}
    assert numbers == {
        "unexplained": 2, "missing": 0, "unexpected": 2, "different": 0, "explained": 1, "difference": 12.0,
    }  # fmt: skip
    assert "Олен" not in f"{result.description}{result.metadata}"
