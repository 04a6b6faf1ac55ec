"""Whose doing a difference is: Finmap's spelling is not a person's edit, and our own lost write is neither."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from sitniks_finmap.pipeline.readback import rebuild_ledger
from sitniks_finmap.sandbox import Fault
from sitniks_finmap.sandbox.spelling import SPELLINGS
from sitniks_finmap_tests.books import START, TODAY, Books, days_ago, stamp

pytestmark = pytest.mark.runs

Keep = Callable[..., Books]
EDIT = "перевірено бухгалтером"
SHAPE: dict[str, Any] = {"counterparty": "ТОВ «Ромашка» & Co 🌼", "source": "Instagram  ", "delivery": "Нова Пошта."}


def bodies(books: Books) -> list[dict[str, Any]]:
    """What was written to Finmap since this was asked last."""
    return [json.loads(one.body) for one in books.written() if one.body]


# -- A Finmap that stores things differently --


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_value_that_finmap_respells_is_written_once(keep_books: Keep, spelling: str) -> None:
    """Later changes in Sitniks patch their own fields only, and nobody is asked."""
    books = keep_books(max_change_share=1.0)
    books.shop.ledger.spelling = SPELLINGS[spelling]
    for number in range(1, 4):
        books.put_order(number, "Новий")
        books.sell(number, "100.40", id=f"TX_{number}", orderId=number, date=stamp(days_ago(1))[:-4] + "789Z", **SHAPE)
    for _ in range(3):
        books.sync()
    assert [one.method for one in books.written()] == ["POST"] * 3
    assert not {kind for _, kind, _ in books.differences()} & {"edited by a person", "pending"}

    # An order moves on, and an amount is corrected: each is one patch of its own fields, and nobody is asked.
    books.put_order(1, "Виконано")
    books.sell(2, "250.00", id="TX_2", orderId=2, date=stamp(days_ago(1))[:-4] + "789Z", **SHAPE)
    for _ in range(3):
        books.sync()
    assert sorted(list(body) for body in bodies(books)) == [["amount"], ["comment"]]
    assert [row for row in books.reasons() if row[2] == "pending" and "stored a different" not in str(row[3])] == []


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_respelled_values_are_still_ours_after_a_lost_file(keep_books: Keep, spelling: str) -> None:
    books = keep_books(max_change_share=1.0)
    books.shop.ledger.spelling = SPELLINGS[spelling]
    for number in range(1, 4):
        books.sell(number, id=f"TX_{number}", **SHAPE)
    books.sync()
    books.warehouse.lose()
    books.written()
    for _ in range(3):
        books.sync()
    assert books.written() == []
    assert [row for row in books.reasons() if row[1] != "update"] == []
    books.warehouse.lose()
    books.shop.delete_transaction("TX_1")
    for _ in range(4):
        books.sync()
    assert books.written() == []
    assert {kind for _, kind, _ in books.differences()} <= {"pending", "different", "unexpected"}


LOWER = SPELLINGS["lower case"]


def test_a_rebuilt_ledger_recognizes_lowercased_keys(books: Books) -> None:
    books.shop.ledger.spelling = LOWER
    books.sell(1, id="TX_1")
    books.sync()
    books.sync()
    for anew in (False, True):
        rebuild_ledger(books.run, START, TODAY, books.clock(), anew=anew)
        books.sync()
        assert (books.states(), books.plan()) == ({"TX_1": "verified"}, [])


def test_an_id_in_two_alphabets_is_known_in_lower_case(keep_books: Keep) -> None:
    books = keep_books(max_change_share=1.0)
    books.shop.ledger.spelling = LOWER
    books.sell(1, id="TX_Ж1")
    books.sync()
    books.warehouse.lose()
    for _ in range(3):
        books.sync()
    assert books.reasons() == []


def test_an_older_generation_with_a_lowercased_key_is_found(keep_books: Keep) -> None:
    """After the warehouse file is lost."""
    books = keep_books(max_change_share=1.0)
    books.shop.ledger.spelling = LOWER
    books.sell(1, id="TX_1")
    books.sync()
    books.sell(1, "-100.00", id="TX_1")
    books.sync()
    books.sync()
    books.warehouse.lose()
    books.sync()
    books.shop.restore_operation("u1:tx_1")
    for _ in range(3):
        books.sync()
    assert (list(books.finmap()), books.plan(), books.differences()) == (["tx_1:2"], [], [])


def test_ids_that_differ_by_case_alone_are_two_transactions(keep_books: Keep) -> None:
    """Of a Finmap that keeps keys as they are; after the loss of the file the day of one of them is not read yet."""
    books = keep_books(max_change_share=1.0)
    books.sell(1, id="tx_1", at=datetime(2026, 3, 2, 10, tzinfo=UTC))
    books.sync()
    books.warehouse.lose()
    books.sell(2, "55.00", id="TX_1")
    books.sync(date(2026, 3, 8), TODAY)
    books.sync()
    books.sync()
    assert {name: str(amount) for name, amount in books.sums().items()} == {"tx_1": "100", "TX_1": "55"}
    assert (books.plan(), books.differences()) == ([], [])


# -- What Finmap only stored --

STORED = '{"status": "Stored", "statusCode": "2"}'


def stores(books: Books, times: int | None) -> None:
    """Finmap accepts changes and does not carry them out."""
    books.sandbox.fault(Fault("status", "finmap", method="PATCH", status=200, body=STORED, times=times))


@pytest.mark.parametrize("change", [{"amount": "150.00"}, {"description": "Інший текст"}])
def test_a_change_that_was_stored_and_got_lost_is_sent_once_more(books: Books, change: dict[str, Any]) -> None:
    books.sell(1)
    books.sync()
    books.sync()
    stores(books, 1)
    books.sell(1, **{"amount": "100.00", **change})
    books.sync()
    books.sync()
    assert [one.method for one in books.written()].count("PATCH") == 2
    assert str(books.sums()["tx_1"]) == change.get("amount", "100.00").removesuffix(".00")
    assert books.finmap()["tx_1"]["comment"] == change.get("description", "Оплата 1")
    assert (books.plan(), books.differences()) == ([], [])


def test_an_amount_finmap_never_updates_is_left_to_a_person(books: Books) -> None:
    books.sell(1)
    books.sync()
    books.sync()
    stores(books, None)
    books.sell(1, "150.00")
    for _ in range(8):
        books.sync()
    assert [one.method for one in books.written()].count("PATCH") == 2
    assert books.reasons() == [("tx_1", "update", "pending", "Finmap stored a different amount than was written")]


def test_an_approved_change_that_was_stored_and_got_lost_arrives(keep_books: Keep) -> None:
    books = keep_books(max_change_share=1.0)
    books.sell(1)
    books.sync()
    books.edit(1, comment=EDIT)
    books.sell(1, description="Інший текст")
    books.sync()
    assert books.decide("approve", conflicts=True) == 1
    stores(books, 1)
    for _ in range(3):
        books.sync()
    assert books.finmap()["tx_1"]["comment"] == "Інший текст"
    assert (books.plan(), books.differences()) == ([], [])


def test_an_amount_that_finmap_rounds_waits_for_a_decision(keep_books: Keep) -> None:
    books = keep_books()
    books.shop.ledger.spelling = SPELLINGS["whole hryvnias"]
    books.sell(1, "100.40")
    books.sell(2, "200.00")
    books.sync()
    assert books.differences() == [("tx_1", "different", False)]
    assert books.reasons() == [("tx_1", "update", "pending", "Finmap stored a different amount than was written")]
    assert books.decide("dismiss") == 1
    books.sync()
    assert books.differences() == [("tx_1", "kept", True)]
    assert bodies(books)[2:] == []


def test_a_comment_of_finmaps_own_is_told_and_is_no_persons(books: Books) -> None:
    books.shop.ledger.spelling = SPELLINGS["appends"]
    books.sell_many(25)
    books.sync()
    assert {(kind, explained) for _, kind, explained in books.differences()} == {("stored differently", True)}
    assert books.plan() == []


def test_dates_cut_to_seconds_are_not_patched_again(books: Books) -> None:
    books.shop.ledger.spelling = SPELLINGS["seconds"]
    books.sandbox.fault(Fault("stored", "finmap", seconds=60, times=None))
    books.sell(1, date=stamp(days_ago(1))[:-4] + "789Z")
    for _ in range(8):
        books.sync()
    assert [one.method for one in books.written()] == ["POST"]


# -- Our own writes of unknown end --


def test_two_lost_patches_with_a_change_in_between_are_ours(books: Books) -> None:
    """100 → 110 (applied, reply lost) → 120 (500): nobody else touched it."""
    books.sell(1)
    books.sync()
    books.sell(1, "110.00")
    books.sandbox.fault(Fault("drop_after", "finmap", method="PATCH"))
    books.read()
    books.deliver()
    books.sell(1, "120.00")
    books.sandbox.fault(Fault("status", "finmap", path="/operations/details", status=503, times=6))
    books.read()
    books.deliver()
    books.sandbox.fault(Fault("status", "finmap", method="PATCH", status=500))
    books.read()
    books.deliver()
    books.clock.forward(3600)
    books.sync()
    assert str(books.sums()["tx_1"]) == "120"
    assert (books.plan(), books.differences()) == ([], [])


@pytest.mark.parametrize("edit", [{"comment": EDIT}, {"amount": "77.00"}, {"date": days_ago(3)}])
def test_an_edit_made_while_a_creation_was_in_doubt_stays(books: Books, edit: dict[str, Any]) -> None:
    books.sandbox.fault(Fault("drop_after", "finmap", method="POST", path="/operations/income"))
    books.sandbox.fault(Fault("status", "finmap", path="/operations/details", status=503, times=6))
    books.sell(1)
    books.read()
    books.deliver()
    assert books.states() == {"tx_1": "failed"}
    books.edit(1, **edit)
    before = books.finmap()["tx_1"]
    books.clock.forward(3600)
    books.sync()
    books.sync()
    after = books.finmap()["tx_1"]
    assert {k: v for k, v in after.items() if k != "updatedAt"} == {k: v for k, v in before.items() if k != "updatedAt"}


def test_what_is_about_to_be_created_is_written_down_first(books: Books) -> None:
    books.sell(1)
    books.read()
    states: list[list[tuple[Any, ...]]] = []
    create = books.run.finmap.create

    def watched(*what: Any) -> Any:
        states.append(books.rows("select state, len(intents), written is null from finmap_upload"))
        return create(*what)

    books.run.finmap.create = watched  # type: ignore[method-assign]
    books.deliver()
    assert states == [[("failed", 1, True)]]


# -- People's edits --


@pytest.mark.parametrize("lost", [False, True], ids=["the order moves", "the file is lost"])
def test_a_persons_transfer_is_not_deleted_and_posted_anew(keep_books: Keep, lost: bool) -> None:
    books = keep_books(max_change_share=1.0)
    books.put_order(1, "Новий")
    books.sell(1, orderId=1)
    books.sell(2)
    books.sync()
    books.turn(1, "transfer")
    books.turn(2, "expense")
    books.put_order(1, "Виконано")
    books.sell(2, "150.00")
    if lost:
        books.warehouse.lose()
    books.written()
    for _ in range(3):
        books.sync()
    assert books.written() == []
    assert {name: row["type"] for name, row in books.finmap().items()} == {"tx_1": "transfer", "tx_2": "expense"}
    assert {row[2] for row in books.reasons()} == {"pending"}


PEOPLES: dict[str, Callable[[Books], dict[str, Any]]] = {
    "tag": lambda books: {"tagIds": [books.shop.add_tag("мій")["id"]]},
    "project": lambda books: {"projectId": books.shop.add_project("Опт")["id"]},
    "counterparty": lambda books: {"counterpartyId": books.shop.add_supplier("Олена")["id"]},
}


def test_a_label_deleted_in_finmap_does_not_drop_the_others(keep_books: Keep) -> None:
    books = keep_books(source_as_tag=True)
    books.sell(1, source="Instagram")
    books.sync()
    project = books.shop.add_project("Опт")["id"]
    gone = books.shop.add_tag("мій")["id"]
    books.edit(1, projectId=project, tagIds=[*books.finmap()["tx_1"]["tagIds"], gone])
    books.sync()
    books.shop.delete_tag("мій")
    books.sell(1, "-100.00", source="Instagram")
    books.sync()
    books.sync()
    assert books.finmap()["tx_1:2"]["projectIds"] == [project]
    books.clock.forward(86_400)
    books.sync()
    (tag,) = books.finmap()["tx_1:2"]["tagIds"]
    assert tag in [one["id"] for one in books.shop.tags() if one["label"] == "Instagram"]
    assert (books.plan(), books.differences()) == ([], [])


@pytest.mark.parametrize("status", [400, 422])
def test_one_refusal_of_a_creation_costs_no_label(keep_books: Keep, status: int) -> None:
    books = keep_books(source_as_tag=True)
    books.sell(1, source="Instagram")
    books.sync()
    project, counterparty = books.shop.add_project("Опт")["id"], books.shop.add_supplier("Олена")["id"]
    books.edit(1, projectId=project, counterpartyId=counterparty)
    books.sync()
    books.sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/expense", status=status))
    books.sell(1, "-100.00", source="Instagram")
    books.sync()
    books.sync()
    has = books.finmap()["tx_1:2"]
    (tag,) = [one["id"] for one in books.shop.tags() if one["label"] == "Instagram"]
    assert (has["projectIds"], has["counterpartyId"], has["tagIds"]) == ([project], counterparty, [tag])
    assert (books.plan(), books.differences()) == ([], [])


def test_a_refusal_and_then_a_lost_answer_cost_no_label(keep_books: Keep) -> None:
    books = keep_books(source_as_tag=True)
    books.sell(1, source="Instagram")
    books.sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/income", status=400))
    books.sandbox.fault(Fault("drop_after", "finmap", method="POST", path="/operations/income"))
    for _ in range(2):
        books.sync()
    (tag,) = [one["id"] for one in books.shop.tags() if one["label"] == "Instagram"]
    assert books.finmap()["tx_1"]["tagIds"] == [tag]
    assert (len(books.finmap()), books.plan(), books.differences()) == (1, [], [])


@pytest.mark.parametrize("sign_turns", [True, False])
def test_after_a_lost_file_a_tag_we_never_sent_is_a_persons(keep_books: Keep, sign_turns: bool) -> None:
    books = keep_books(on_delete="withdraw", max_change_share=1.0)
    books.sell_many(2)
    books.sync()
    tag = books.shop.add_tag("мій")["id"]
    books.edit(1, tagIds=[tag])
    books.sync()
    books.warehouse.lose()
    books.sync()
    books.sync()
    if sign_turns:
        books.sell(1, "-100.00")
    else:
        books.unsell(1)
    for _ in range(3):
        books.sync()
    assert books.finmap()["tx_1:2" if sign_turns else "tx_1"]["tagIds"] == [tag]
    waits = [] if sign_turns else [("tx_1", "withdraw", "pending", "a person edited it in Finmap")]
    assert books.reasons() == waits


@pytest.mark.parametrize("what", PEOPLES)
def test_a_replacement_keeps_what_people_set_beside_our_fields(keep_books: Keep, what: str) -> None:
    books = keep_books()
    books.sell(1)
    books.sync()
    theirs = PEOPLES[what](books)
    books.edit(1, **theirs)
    books.sync()
    books.sell(1, "-100.00")
    books.sync()
    books.sync()
    (name,) = theirs
    has = books.finmap()["tx_1:2"]
    shown = {"projectId": "projectIds"}.get(name, name)
    wanted = theirs[name] if isinstance(theirs[name], list) or shown == name else [theirs[name]]
    assert (has["type"], has[shown]) == ("expense", wanted)
    assert (books.plan(), books.differences()) == ([], [])


@pytest.mark.parametrize("what", PEOPLES)
def test_what_people_set_beside_our_fields_holds_up_a_deletion(keep_books: Keep, what: str) -> None:
    books = keep_books(on_delete="withdraw")
    books.sell(1)
    books.sync()
    books.edit(1, **PEOPLES[what](books))
    books.unsell(1)
    books.sync()
    assert books.reasons() == [("tx_1", "withdraw", "pending", "a person edited it in Finmap")]
    assert list(books.finmap()) == ["tx_1"]


# -- What is taken out of the settings --


def test_an_emptied_comment_is_really_emptied(keep_books: Keep) -> None:
    books = keep_books(comment_fields=["description"])
    books.sell(1)
    books.sync()
    books.sell(1, description=None)
    books.sync()
    assert bodies(books)[1:] == [{"comment": ""}]
    assert (books.finmap()["tx_1"]["comment"], books.plan(), books.differences()) == ("", [], [])


def test_a_tag_taken_out_of_the_settings_is_taken_off(keep_books: Keep) -> None:
    books = keep_books(source_as_tag=True)
    books.sell(1, source="Instagram")
    books.sync()
    books.configure(keep_books(source_as_tag=False).run.connection)
    books.sync()
    assert bodies(books)[1:] == [{"tagIds": []}]
    assert (books.finmap()["tx_1"]["tagIds"], books.plan()) == (["empty"], [])
