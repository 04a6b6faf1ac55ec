"""Categories, tags, projects, counterparties: money never waits for them, and none is lost on the way."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from sitniks_finmap.clients.answers import KeyRefused
from sitniks_finmap.people.status import status_of
from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.books import Books

pytestmark = pytest.mark.runs
Keep = Callable[..., Books]

STORED_AND_LOST = Fault("status", "finmap", method="PATCH", status=200, body='{"status": "Stored", "statusCode": "2"}')


def patch(kind: str = "status", **more: int) -> Fault:
    return Fault(kind, "finmap", method="PATCH", **more)  # type: ignore[arg-type]


def refuse_labels(books: Books, type: str) -> None:
    """The next creation is refused: money goes alone, and each label after it."""
    books.sandbox.fault(Fault("status", "finmap", method="POST", path=f"/operations/{type}", status=400))


def days_pass(books: Books) -> None:
    books.sandbox.clear_faults()
    for _ in range(4):
        books.sync()
        books.clock.forward(86_400)
    assert (books.plan(), books.differences()) == ([], [])


LOST = {
    "key refused": patch(status=403), "key wrong": patch(status=401), "stored and lost": STORED_AND_LOST,
    "500": patch(status=500), "dropped": patch("drop_before"), "404": patch(status=404), "400": patch(status=400),
}  # fmt: skip


@pytest.mark.parametrize("how", [*LOST, "killed"])
def test_our_own_tag_is_on_it_in_the_end(keep_books: Keep, how: str) -> None:
    books = keep_books(source_as_tag=True)
    books.sell(1, source="Instagram")
    refuse_labels(books, "income")
    if how == "killed":
        books.read()
        books.be_killed_delivering("reply_received:2")  # the money is there, the tag not yet
    else:
        books.sandbox.fault(LOST[how])
        with suppress(KeyRefused):
            books.sync()
    days_pass(books)
    (tag,) = books.finmap()["tx_1"]["tagIds"]
    assert tag != "empty"


def second_creation(kind: str) -> Fault:
    return Fault(kind, "finmap", method="POST", path="/operations/expense", seconds=1)  # type: ignore[arg-type]


def put_into_a_project(books: Books) -> str:
    """A payment that a person has put into a project in Finmap; the ID of the project."""
    books.sell(1)
    books.sync()
    project = books.shop.add_project("Опт")["id"]
    books.edit(1, projectId=project)
    books.sync()
    return project


@pytest.mark.parametrize(
    "fault",
    [*LOST.values(), *(second_creation(kind) for kind in ("stored", "queued", "drop_after"))],
    ids=[*LOST, "creation stored", "creation queued", "creation unanswered"],
)
def test_a_persons_project_goes_over_when_the_sign_turns(books: Books, fault: Fault) -> None:
    project = put_into_a_project(books)
    refuse_labels(books, "expense")
    books.sandbox.fault(fault)
    books.sell(1, "-100.00")
    with suppress(KeyRefused):
        books.sync()
    days_pass(books)
    assert books.finmap()["tx_1:2"]["projectIds"] == [project]


@pytest.mark.parametrize("reply", [2, 3])
def test_a_persons_project_goes_over_though_the_run_is_killed(books: Books, reply: int) -> None:
    project = put_into_a_project(books)
    refuse_labels(books, "expense")
    books.sell(1, "-100.00")
    books.read()
    books.be_killed_delivering(f"reply_received:{reply}")
    days_pass(books)
    assert books.finmap()["tx_1:2"]["projectIds"] == [project]


def test_what_she_takes_off_the_new_operation_stays_off(books: Books) -> None:
    project = put_into_a_project(books)
    books.sell(1, "-100.00")
    books.sync()
    assert books.finmap()["tx_1:2"]["projectIds"] == [project]
    books.edit(1, generation=2, projectId=None)
    days_pass(books)
    assert books.finmap()["tx_1:2"]["projectIds"] != [project]


def test_of_two_tags_the_one_that_is_left_goes_over(books: Books) -> None:
    books.sell(1)
    books.sync()
    stays, gone = (books.shop.add_tag(name)["id"] for name in ("лишається", "зникне"))
    books.edit(1, tagIds=[stays, gone])
    books.sync()
    books.shop.delete_tag("зникне")
    books.sell(1, "-100.00")
    days_pass(books)
    assert books.finmap()["tx_1:2"]["tagIds"] == [stays]


def test_a_project_that_is_gone_for_good_is_told_and_then_let_go(books: Books) -> None:
    books.sell(1)
    books.sync()
    books.edit(1, projectId=books.shop.add_project("Опт")["id"])
    books.sync()
    refuse_labels(books, "expense")
    for _ in range(2):
        books.sandbox.fault(patch(status=400))
    books.sell(1, "-100.00")
    books.sync()
    assert books.plan() != []
    assert "refused" in {one.problem for one in status_of(books.run.connection, books.clock()).findings}
    days_pass(books)
    assert list(books.finmap()) == ["tx_1:2"]
