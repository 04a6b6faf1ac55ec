"""Support's question: what happened to one transaction, and why do the two sides differ?"""

import re
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from sitniks_finmap.people.explain import explain
from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.books import Books, days_ago
from sitniks_finmap_tests.screens import command, told

pytestmark = pytest.mark.runs

Keep = Callable[..., Books]


def test_explain_shows_versions_rule_attempts_and_differences(keep_books: Keep) -> None:
    books = keep_books(on_change="ask")
    books.put_order(5, "Новий")
    books.sell(1, orderId=5, source="Instagram")
    books.sandbox.fault(Fault("drop_before", "finmap", method="POST", path="/operations/income"))
    books.sync()
    books.run.run_id = "second-run"
    books.sync()
    books.edit(1, amount="99.00")
    books.sell(1, "120.00", orderId=5, source="Instagram")
    books.sync()
    said = told(books, "tx_1")

    assert said["head"].strip() == "u1: transaction tx_1"
    # In the connection's own time: 12:00 UTC is 14:00 in Kyiv in March.
    first, second = re.findall(r"version .*", said["Read from Sitniks"])
    assert first == "version 1, read 2026-03-10 14:00 to 2026-03-10 15:00, run test-run"
    assert second == "version 2, read 2026-03-10 16:00 to 2026-03-10 16:00, run second-r"
    assert '"amount": "100.00"' in said["Read from Sitniks"]
    assert "order 5: status Новий, Instagram, read 2026-03-10 14:00 to 2026-03-10 16:00" in said["Read from Sitniks"]
    wanted = said["Finmap should have"]
    assert "income 120.00 at 2026-03-09 12:00:00 on Каса" in wanted
    assert "Оплата 1 | Джерело: Instagram | Замовлення: №5 | Статус: Новий" in wanted
    assert re.search(r"social_sale, by rule \d+, sign income, source has one of instagram / ", wanted)
    ledger = said["Sent to Finmap"]
    assert "u1:tx_1: verified, income 100.00, 2 attempts, lookups included" in ledger
    attempts = re.findall(r"(POST|PATCH|DELETE) (\S+) → (\S+) (\w+), \d+ ms", ledger)
    assert attempts == [
        ("POST", "/operations/income", "–", "unknown"),
        ("POST", "/operations/income", "201", "applied"),
    ]
    assert "u1:tx_1: income 99.00 at 2026-03-09 12:00:00" in said["Finmap has now"]
    conflict = "a person changed in Finmap what also changed in Sitniks: amount"
    assert f"pending: update: {conflict}" in said["differences"]
    assert f"planned: update, pending ({conflict})" in said["differences"]


def test_a_decision_is_told_as_every_other_command_tells_it(keep_books: Keep) -> None:
    books = keep_books(on_change="ask")
    books.sell(1)
    books.sync()
    books.sell(1, "120.00")
    books.sync()
    assert books.decide("dismiss") == 1
    assert "planned: update, kept (dismissed by a person)" in told(books, "tx_1")["differences"]


def test_explain_shows_replaced_withdrawn_and_refused_in_full(keep_books: Keep) -> None:
    books = keep_books(on_delete="withdraw")
    books.sell_many(3)
    books.sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/expense", status=400))
    books.sync()
    books.sell(1, "-50.00")
    books.unsell(2)
    books.sell(3, "сто")
    books.sync()
    said = told(books, "tx_1")
    assert "u1:tx_1: withdrawn" in said["Sent to Finmap"]
    assert "u1:tx_1:2: refused, expense 50.00, " in said["Sent to Finmap"]
    assert said["Finmap has now"].split() == ["u1:tx_1:", "nothing", "u1:tx_1:2:", "nothing"]
    assert "refused: create" in said["differences"]

    said = told(books, "tx_2")
    assert "gone since 2026-03-10 15:00" in said["Read from Sitniks"]
    assert said["Finmap should have"].strip() == "nothing"
    assert re.search(r"DELETE /operations/income/byExternalId/u1%3Atx_2 → 200 applied", said["Sent to Finmap"])
    assert said["differences"].strip() == "none"

    said = told(books, "tx_3")
    assert said["Finmap should have"].strip() == "nothing, rejected: unreadable amount: сто"
    assert "planned: withdraw, pending" in said["differences"]


def test_explain_shows_what_is_missing_and_when_it_looks_again(books: Books) -> None:
    books.sell_many(2)
    books.sync()
    assert books.shop.delete_transaction("tx_1")
    books.throw_out(2)
    books.sync()
    said = told(books, "tx_1")["Read from Sitniks"]
    assert "missing from the read of 2026-03-10 15:00; the next read shows whether it is gone" in said
    said = told(books, "tx_2")
    assert "u1:tx_2: verified" in said["Sent to Finmap"]
    assert "not shown since 2026-03-10 15:00" in said["Sent to Finmap"]
    assert "planned: verify, go, not before 2026-03-10 17:00" in said["differences"]


def test_an_unknown_transaction_is_said_to_be_unknown(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    books.sell(1, at=days_ago(1))
    books.sync()
    out = Console(file=StringIO(), soft_wrap=True)
    assert not explain(out, books.run, "tx_[1]")
    assert out.file.getvalue().strip() == "u1: no transaction tx_[1] has been read"  # type: ignore[attr-defined]


def test_explain_shows_the_rest_without_a_key_of_finmap(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heading is followed by its own line, and not by an error that ends the screen."""
    books.sell(1)
    books.sync()
    books.warehouse.close()
    monkeypatch.delenv("U1_FINMAP_API_KEY")
    code, said = command("explain", "tx_1")
    assert code == 0
    why = "u1: the environment variable U1_FINMAP_API_KEY is not set; put it into .env"
    assert f"\nFinmap has now\n  {why}\n\ndifferences\n  none\n" in said


def test_explain_shows_the_rest_when_finmap_refuses_the_key(books: Books) -> None:
    books.sell(1)
    books.sync()
    books.shop.revoke("finmap")
    said = told(books, "tx_1")
    assert "refused the key (401)" in said["Finmap has now"]
    assert "u1:tx_1: verified" in said["Sent to Finmap"]
