"""Reading back: what Finmap has, what people did there and keep, and how the ledger is filled after it was lost."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.pipeline.readback import rebuild_ledger
from sitniks_finmap.sandbox import Fault, FaultKind, Sandbox
from sitniks_finmap_tests.books import START, TODAY, Books, days_ago, stamp
from sitniks_finmap_tests.sandbox.clients import Clock

pytestmark = pytest.mark.runs

Keep = Callable[..., Books]
EDIT = "перевірено бухгалтером"


def bodies(books: Books) -> list[dict[str, Any]]:
    """What was written to Finmap since this was asked last."""
    return [json.loads(one.body) for one in books.written() if one.body]


# -- sent, verified, deleted -------------------------------------------------------------------------------------


def test_sent_becomes_verified_only_when_finmap_shows_it(books: Books) -> None:
    books.sell_many(3)
    books.read()
    books.sandbox.fault(Fault("stored", "finmap", seconds=300))
    books.deliver()
    assert set(books.states().values()) == {"sent"}
    assert books.rows("select count(verified_at) from finmap_upload") == [(0,)]
    assert books.deliver().planned == 0
    books.look()
    assert sorted(books.states().values()) == ["sent", "verified", "verified"]
    assert {kind for _, kind, _ in books.differences()} == {"scheduled"}
    books.clock.forward(301)
    books.look()
    assert (set(books.states().values()), books.differences()) == ({"verified"}, [])
    assert books.rows("select distinct verified_at, next_attempt_at from finmap_upload") == [(books.clock(), None)]


def test_a_read_back_that_fails_changes_nothing(books: Books) -> None:
    books.sell_many(2)
    books.sync()
    before = [books.rows(f"from {table} order by all") for table in ("finmap_upload", "finmap_operations")]
    books.throw_out(1)
    for path in ("/operations/list", "/operations/details"):
        books.sandbox.fault(Fault("status", "finmap", path=path, status=400, times=None))
        with pytest.raises(ApiError):
            books.look()
        books.sandbox.clear_faults()
    assert books.rows("from finmap_upload order by all") == before[0]


def test_an_operation_a_person_moved_is_not_taken_for_deleted(books: Books) -> None:
    """Neither one moved to another account nor one moved beyond the days that are read."""
    books.sell_many(3)
    books.sync()
    books.edit(1, accountToId=books.shop.accounts[1]["id"])
    books.edit(2, date=days_ago(400))
    books.edit(3, date=days_ago(-3))
    books.sync()
    assert set(books.states().values()) == {"verified"}
    assert books.differences() == [(f"tx_{n}", "edited by a person", True) for n in (1, 2, 3)]
    assert books.plan() == []


@pytest.fixture(params=[False, True], ids=["key is given once", "key may be given again"])
def either_vendor(request: pytest.FixtureRequest, connect: Any, project: Any) -> Any:
    """Whether Finmap gives the key of a deleted operation a second time is not known: Books at either."""
    clock = Clock()
    with Sandbox(clock=clock, reuse_deleted_ids=request.param) as sandbox:
        urls = {"sitniks_url": sandbox.sitniks_url, "finmap_url": sandbox.finmap_url}
        yield Books(sandbox, sandbox.shop(), connect(start_date=START, max_change_share=1.0, **urls), clock)


def test_what_a_person_deleted_is_never_created_again_unasked(either_vendor: Books) -> None:
    """At whatever moment: before and after a patch, with a change of the source or of its sign, just after it came."""
    books = either_vendor
    books.sell_many(6)
    books.sync()
    books.throw_out(1)
    books.throw_out(2)
    books.sell(2, "2.00")
    books.throw_out(3)
    books.sell(3, "-3.00")
    books.sell(4, "4.00")
    books.edit(5, comment=EDIT)
    books.sell(6, "-6.00")
    books.read()
    books.deliver()  # Finmap was not read since
    books.throw_out(4)  # just after it was patched
    books.throw_out(5)
    books.throw_out(6, generation=2)  # just after it was replaced
    books.written()
    for _ in range(4):
        books.sync()
        books.clock.forward(7200)
    assert books.finmap() == {}
    assert books.states() == dict.fromkeys([*(f"tx_{n}" for n in range(1, 6)), "tx_6:2"], "deleted") | {
        "tx_6": "withdrawn"
    }
    assert {row[1:3] for row in books.reasons()} == {("recreate", "pending")}
    assert {explained for *_, explained in books.differences()} == {True}


# -- A person's edit ---------------------------------------------------------------------------------------------


def test_an_edit_of_a_category_or_tag_is_a_persons_for_good(keep_books: Keep) -> None:
    books = keep_books()
    sales, gifts, other = (books.shop.add_category("income", label)["id"] for label in ("Продажі", "Подарунки", "Інше"))
    mine = books.shop.add_tag("мій")["id"]
    settings = {"source_as_tag": True, "max_change_share": 1.0}
    books.configure(keep_books(**settings, categories={"social_sale": "Продажі"}).run.connection)
    for number in range(1, 5):
        books.sell(number, source="Instagram")
    books.sync()
    books.edit(1, categoryId=gifts, tagIds=[mine])
    books.edit(2, categoryId="empty", tagIds=[])
    books.edit(3, tagIds=[mine])

    def persons() -> list[tuple[str, list[str]]]:
        has = books.finmap()
        return [(has[f"tx_{n}"]["categoryId"], has[f"tx_{n}"]["tagIds"]) for n in (1, 2, 3)]

    theirs = persons()
    books.sync()
    for amount in ("1.00", "2.00"):
        for number in (1, 2, 3, 4):
            books.sell(number, amount, source="Instagram")
        books.written()
        books.sync()
        assert bodies(books) == [{"amount": float(amount)}] * 4
    # Even when the connection changes what it wants.
    books.configure(keep_books(**settings, categories={"social_sale": "Інше"}).run.connection)
    for number in (1, 2, 3, 4):
        books.sell(number, "2.00", source="Rozetka" if number == 3 else "Facebook")
    books.sync()
    assert persons()[:2] == theirs[:2]
    assert persons()[2][1] == theirs[2][1]
    assert books.finmap()["tx_4"]["categoryId"] == other
    assert sales != other
    assert books.differences() == []


EDITS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # field: a person's edit, a change of the source
    "amount": ({"amount": "7.77"}, {"amount": "5.00"}),
    "date": ({"date": days_ago(4)}, {"date": stamp(days_ago(3))}),
    "comment": ({"comment": EDIT}, {"description": "Доплата"}),
    "account": ({"accountToId": "<Долари>"}, {"settlementAccountId": 7}),
}
FIELDS = {"amount": "sum", "date": "date", "comment": "comment", "account": "accountToId"}


@pytest.fixture
def edited(keep_books: Keep) -> Books:
    """For each field an operation in which a person changed it, twice over: 1 to 4, and 11 to 14."""
    books = keep_books(accounts={"7": "ФОП"}, max_change_share=1.0)
    for number in (1, 2, 3, 4, 11, 12, 13, 14):
        books.sell(number)
    books.sync()
    for number, (edit, _) in enumerate(EDITS.values(), 1):
        if "accountToId" in edit:
            edit = {"accountToId": books.shop.accounts[2]["id"]}
        for one in (number, number + 10):
            books.edit(one, **edit)
    books.written()
    return books


@pytest.mark.parametrize("seen", [True, False], ids=["after a sync", "in between two syncs"])
def test_a_field_that_a_person_changed_is_never_overwritten(edited: Books, seen: bool) -> None:
    theirs = {name: row[FIELDS[field]] for field, (name, row) in zip([*EDITS, *EDITS], persons(edited), strict=True)}
    if seen:
        edited.sync()
    others: list[dict[str, Any]] = [{"description": "Доплата"}, {"amount": "5.00"}, {"amount": "5.00"}, {}]
    for number, change in enumerate(others, 1):  # another field than the person's
        edited.sell(number, **change)
    for number, (_, change) in enumerate(EDITS.values(), 11):
        edited.sell(number, **change)  # the very field
    edited.sync()
    edited.sync()
    now = {name: row[FIELDS[field]] for field, (name, row) in zip([*EDITS, *EDITS], persons(edited), strict=True)}
    assert now == theirs
    assert sorted(map(str, bodies(edited))) == ["{'amount': 5.0}", "{'amount': 5.0}", "{'comment': 'Доплата'}"]
    fields = dict(zip((f"tx_{n}" for n in range(11, 15)), EDITS, strict=True))
    assert edited.reasons() == [
        (name, "update", "pending", f"a person changed in Finmap what also changed in Sitniks: {field}")
        for name, field in fields.items()
    ]
    kinds = {(kind, explained) for _, kind, explained in edited.differences()}
    assert kinds == {("edited by a person", True), ("pending", True)}

    # The conflict goes when a person approves it, and the other fields stay as they are.
    assert edited.decide("approve") == 0
    assert edited.decide("approve", conflicts=True) == 4
    edited.sync()
    has = edited.finmap()
    assert (str(has["tx_11"]["sum"]), has["tx_13"]["comment"]) == ("5", "Доплата")
    assert has["tx_14"]["accountToId"] == edited.shop.accounts[1]["id"]
    assert {name: row[FIELDS[field]] for field, (name, row) in zip(EDITS, persons(edited)[:4], strict=True)} == {
        name: theirs[name] for name in ("tx_1", "tx_2", "tx_3", "tx_4")
    }
    assert edited.plan() == []


def persons(books: Books) -> list[tuple[str, dict[str, Any]]]:
    has = books.finmap()
    return [(f"tx_{n}", has[f"tx_{n}"]) for n in (1, 2, 3, 4, 11, 12, 13, 14)]


def test_an_edit_survives_patches_that_fail_or_are_refused(keep_books: Keep) -> None:
    books = keep_books(max_change_share=1.0)
    books.sell_many(4)
    books.sync()
    for number in (1, 2):
        books.edit(number, comment=EDIT)
    for number in (1, 2, 3, 4):
        books.sell(number, "2.00")
    books.read()
    faults = ["drop_after", "status", "drop_after", "status"]
    for fault in faults:
        books.sandbox.fault(Fault(fault, "finmap", method="PATCH", status=500))  # type: ignore[arg-type]
    books.deliver()
    for number in (3, 4):
        books.edit(number, comment=EDIT)  # before the next attempt
    books.clock.forward(3600)
    books.sandbox.fault(Fault("status", "finmap", method="PATCH", status=400))
    books.sync()
    books.sell_many(4, amount="3.00")
    books.sync()
    books.sync()
    assert {(row["comment"], str(row["sum"])) for row in books.finmap().values()} == {(EDIT, "3")}


def test_an_edit_before_the_first_read_stays_until_corrected(books: Books) -> None:
    """It cannot be told from Finmap's own spelling, and is never called a person's."""
    books.sell_many(3)
    books.read()
    books.deliver()
    books.edit(1, comment=EDIT)
    books.edit(2, amount="7.77")
    books.edit(3, comment=EDIT)
    books.look()
    books.clock.forward(3600)
    assert [kind for _, kind, _ in books.differences()] == ["stored differently", "different", "stored differently"]
    books.written()
    books.deliver()
    assert books.written() == []
    books.sell(1, "2.00")
    books.sell(2, description="Доплата")
    books.sell(3, description="Доплата")
    books.sync()
    has = books.finmap()
    assert [(has[name]["comment"], str(has[name]["sum"])) for name in ("tx_1", "tx_2", "tx_3")] == [
        (EDIT, "2"), ("Доплата", "7.77"), ("Доплата", "100"),
    ]  # fmt: skip


def test_an_edited_operation_is_not_removed_or_replaced_unasked(keep_books: Keep) -> None:
    books = keep_books(on_delete="withdraw", source_as_tag=True, max_change_share=1.0)
    mine = books.shop.add_tag("мій")["id"]
    for number in range(1, 5):
        books.sell(number, source="Instagram")
    books.sync()
    for number in (1, 2):
        books.edit(number, comment=EDIT)
    for number in (3, 4):
        books.edit(number, tagIds=[mine])
    for number in (1, 3):
        books.sell(number, "-100.00", source="Instagram")
    for number in (2, 4):
        books.unsell(number)
    books.written()
    books.sync()
    books.sync()
    # What is theirs to set goes over to the new operation; a deletion would lose it.
    assert sorted(one.method for one in books.written()) == ["DELETE", "POST"]
    assert mine in books.finmap()["tx_3:2"]["tagIds"]
    assert len(books.finmap()["tx_3:2"]["tagIds"]) == 2
    why = "a person edited it in Finmap"
    assert books.reasons() == [
        ("tx_1", "replace", "pending", why), ("tx_2", "withdraw", "pending", why), ("tx_4", "withdraw", "pending", why),
    ]  # fmt: skip
    assert books.decide("approve", conflicts=True) == 3
    books.sync()
    assert {name: str(amount) for name, amount in books.sums().items()} == {"tx_1:2": "-100", "tx_3:2": "-100"}
    assert (books.plan(), books.differences()) == ([], [])


def test_an_edit_that_sitniks_then_matches_needs_no_action(books: Books) -> None:
    books.sell(1)
    books.sync()
    books.edit(1, amount="50.00")
    books.sync()
    assert books.differences() == [("tx_1", "edited by a person", True)]
    books.sell(1, "50.00")
    books.written()
    books.sync()
    assert (books.written(), books.differences(), books.plan()) == ([], [], [])


# -- The ledger is lost ------------------------------------------------------------------------------------------


def test_when_the_file_is_lost_the_next_sync_writes_nothing(keep_books: Keep) -> None:
    settings = {"source_as_tag": True, "categories": {"social_sale": "Продажі"}, "on_delete": "withdraw"}
    books = keep_books()
    books.shop.add_category("income", "Продажі")
    books.configure(keep_books(**settings).run.connection)
    for number in range(1, 7):
        books.sell(number, at=days_ago(number), source="Instagram")
    books.sync()
    books.sell(1, "-100.00", source="Instagram")
    books.unsell(6)
    books.sync()
    books.edit(2, comment=EDIT)
    books.edit(3, categoryId="empty", tagIds=[])
    books.sync()
    before = books.finmap()
    books.written()

    books.warehouse.lose()
    books.sync()
    books.sync()
    assert books.written() == []
    assert books.finmap() == before
    assert books.states() == dict.fromkeys(["tx_1:2", "tx_2", "tx_3", "tx_4", "tx_5"], "verified")
    unknown = "the ledger was rebuilt: who changed it is unknown"
    assert books.reasons() == [("tx_2", "update", "pending", unknown), ("tx_3", "update", "pending", unknown)]
    assert {explained for *_, explained in books.differences()} == {True}

    # What was equal is known again: it follows its source, and a person's edit of it is one.
    books.sell(4, "44.00", at=days_ago(4), source="Instagram")
    books.edit(5, comment=EDIT)
    books.sync()
    assert bodies(books) == [{"amount": 44.0}]
    assert ("tx_5", "edited by a person", True) in books.differences()
    # What differed is brought in line when a person approves.
    assert books.decide("approve", transaction="tx_2") == 1
    books.sync()
    assert bodies(books) == [{"comment": "Оплата 2 | Джерело: Instagram"}]
    assert [row[0] for row in books.plan()] == ["tx_3"]


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_an_approval_after_a_lost_file_survives_failed_attempts(books: Books, kind: FaultKind) -> None:
    books.sell(1, "10.00", source="Instagram")
    books.sync()
    books.sell(1, "11.00", source="Instagram")
    books.warehouse.lose()
    books.sync()
    assert books.decide("approve", conflicts=True) == 1
    books.sandbox.fault(Fault(kind, "finmap", method="PATCH", path="/operations", times=2))
    for _ in range(3):
        books.sync()
    assert books.sums() == {"tx_1": Decimal("11.00")}
    assert (books.plan(), books.differences()) == ([], [])
    assert len([one for one in books.written() if one.method == "PATCH"]) == (3 if kind == "drop_before" else 1)


def test_what_a_rebuilt_ledger_has_not_read_yet_is_not_gone(keep_books: Keep) -> None:
    books = keep_books(on_delete="withdraw")
    for number in range(1, 6):
        books.sell(number, at=days_ago(number))
    books.sync()
    books.warehouse.lose()
    books.sync(TODAY - timedelta(days=2), TODAY)  # a person syncs two days
    assert books.plan() == []
    assert books.decide("approve") == 0
    books.deliver()
    assert len(books.finmap()) == 5
    books.unsell(5)
    books.sync()
    unknown = "the ledger was rebuilt: who changed it is unknown"
    assert books.reasons() == [("tx_5", "withdraw", "pending", unknown)]


def test_a_ledger_is_rebuilt_from_our_keys_with_generations(books: Books) -> None:
    for amount in ("100.00", "-100.00"):
        books.sell(1, amount, id="a:b/ї")
        books.sync()
    account = books.shop.accounts[0]["id"]
    for number, foreign in enumerate(["u1:tx_9:x", "u1:", "u2:tx_9", "u1:a:2:3", "manual"]):
        body = {"externalId": foreign, "amount": number + 1, "accountToId": account, "date": 1773050400000}
        reply = books.run.finmap.api.write("POST", "/operations/income", json.dumps(body).encode())
        assert reply.status == 201
    with books.warehouse.transaction() as con:
        con.execute("delete from finmap_upload")
    assert rebuild_ledger(books.run, START, TODAY, books.clock())[0] == 1
    assert books.rows("select transaction_id, generation, state, written is null from finmap_upload") == [
        ("a:b/ї", 2, "verified", True)
    ]
    assert books.deliver().planned == 0
    assert books.plan() == []
    # A key is never used again.
    books.sell(1, id="a:b/ї")
    books.sync()
    assert books.rows("select external_id from current_uploads") == [("u1:a%3Ab%2F%D1%97:3",)]
    assert books.finmap()["a%3Ab%2F%D1%97:3"]["type"] == "income"
