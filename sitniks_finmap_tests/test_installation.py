"""One name, one installation: renamed tables, second keys and second installations are noticed, not doubled."""

import json
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from sitniks_finmap.cli.commands import cli
from sitniks_finmap.defs.launch import run_job
from sitniks_finmap.people.doctor import examine
from sitniks_finmap.pipeline.decisions import plan_rollback, roll_back
from sitniks_finmap.pipeline.installation import OtherInstallation, claim
from sitniks_finmap.pipeline.posted_elsewhere import PostedElsewhere
from sitniks_finmap.sandbox import Fault
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.books import START, Books, key
from sitniks_finmap_tests.order_books import LISTS, KeepOrders, move
from sitniks_finmap_tests.order_books import sync as order_sync

pytestmark = pytest.mark.runs

Install = Callable[..., Books]


@pytest.fixture
def install(
    books: Books, connect: Callable[..., Connection], project: Path, monkeypatch: pytest.MonkeyPatch
) -> Install:
    """Another installation, or connection, of the same shop: its books."""

    def install(name: str = "u1", folder: str = "data", **settings: object) -> Books:
        monkeypatch.setenv("SITNIKS_FINMAP_DATA", str(project / folder))
        return Books(books.sandbox, books.shop, connect(name, **{"start_date": START, **settings}), books.clock)

    return install


def marks(books: Books) -> list[str]:
    return [tag["label"] for tag in books.shop.tags() if tag["label"].startswith("sitniks_finmap")]


def installation(books: Books) -> str:
    return (books.warehouse.path.parent / "installation").read_text().strip()


def again(books: Books) -> Books:
    """The next run: its clients are new."""
    books.configure(books.run.connection)
    return books


def command(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=answer)


# -- The same shop under another name ----------------------------------------------------------------------------


def test_a_renamed_table_posts_nothing_and_says_what_happened(books: Books, install: Install) -> None:
    books.sell_many(4)
    books.sync()
    books.sell(5)
    renamed = install("shop")
    with pytest.raises(PostedElsewhere):
        renamed.sync()
    with pytest.raises(PostedElsewhere) as refused:
        again(renamed).sync()
    said = str(refused.value)
    assert said.startswith('shop: Finmap already has 4 of these 5 transactions under "u1"')
    assert "Nothing was posted" in said
    assert "`sitniks-finmap rename u1 shop`" in said
    assert {row["externalId"] for row in books.shop.operations()} == {key(n) for n in (1, 2, 3, 4)}


def test_a_second_key_of_the_same_company_doubles_nothing(
    books: Books, install: Install, dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    books.clock.now = now
    books.sell_many(2, at=now - timedelta(days=1))
    for number in (1, 2):
        books.shop.put_transaction({"id": f"tx_{number}", "amount": "70", "date": str(now.date() - timedelta(days=1))})
    days = now.date() - timedelta(days=2), now.date()
    books.sync(*days)
    second = install("second").run.connection
    for side in ("sitniks", "finmap"):
        monkeypatch.setenv(f"SECOND_{side.upper()}_API_KEY", books.sandbox.issue_key(side))  # type: ignore[arg-type]
    for what in ("sync", "deliver"):
        ended = run_job(dagster, second, what, *days)  # type: ignore[arg-type]
        assert 'second: Finmap already has 2 of these 2 transactions under "u1"' in ended.why
    assert len(books.shop.operations()) == 2


@pytest.mark.parametrize("fewer", [1, 2])
def test_of_a_shop_with_few_transactions_all_are_enough(books: Books, install: Install, fewer: int) -> None:
    books.sell_many(fewer)
    books.sync()
    with pytest.raises(PostedElsewhere):
        install("shop").sync()


def test_two_shops_that_count_alike_share_a_company(books: Books, install: Install) -> None:
    """Both post to one Finmap; their transactions have the same IDs, and are others."""
    books.sell_many(6)
    books.sync()
    books.shop.put_transactions(
        [
            {"id": f"tx_{n}", "createdAt": f"2026-03-09T11:0{n}:00.000Z", "amount": str(n if n < 5 else 100)}
            for n in range(1, 7)
        ]
    )
    second = install("second")
    second.sync()
    assert set(second.states().values()) == {"verified"}
    assert len(books.shop.operations()) == 12


def prefixes(books: Books) -> list[str]:
    """Of each operation in Finmap, by what it is an operation of."""
    found = sorted(row["externalId"].split(":")[::-1] for row in books.shop.operations())
    return [f"{one} {name}" for one, name in found]


def test_one_that_began_with_a_part_of_the_shop_is_known(books: Books, install: Install) -> None:
    """Two of its operations in Finmap, of a hundred that the second one would post."""
    books.sell_many(2)
    books.sync()
    for number in range(3, 9):
        books.sell(number, at=datetime(2026, 3, 2, number, tzinfo=UTC))
    with pytest.raises(PostedElsewhere, match=r'shop: Finmap already has 2 of these 8 transactions under "u1"'):
        install("shop").sync()
    assert prefixes(books) == ["tx_1 u1", "tx_2 u1"]


def test_two_names_that_both_post_already_are_noticed(books: Books, install: Install) -> None:
    """When each began, Finmap had nothing of the other: one imported the past, one began with today."""
    books.sell(1, at=datetime(2026, 3, 2, 10, tzinfo=UTC))
    books.sync(START, date(2026, 3, 8))
    second = install("shop", start_date=date(2026, 3, 9))
    books.sell(2)
    second.sync(date(2026, 3, 9))
    with pytest.raises(PostedElsewhere) as refused:
        again(books).sync()
    assert 'u1: Finmap already has this transaction under "shop"' in str(refused.value)
    assert "Nothing more was posted" in str(refused.value)
    assert prefixes(books) == ["tx_1 u1", "tx_2 shop"]
    books.sell(3)
    books.clock.forward(3600)
    again(second).sync()  # it goes on, for nothing of its days is under another name
    with pytest.raises(PostedElsewhere):
        again(books).sync()
    assert prefixes(books) == ["tx_1 u1", "tx_2 shop", "tx_3 shop"]


def test_a_first_import_beside_another_posts_nothing(
    books: Books, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second imports everything after the first one has looked for the last time before it begins."""
    books.sell_many(30)
    others = [install("shop").sync]

    def meanwhile(name: str) -> None:
        if name == "plan_written" and others:
            others.pop()()

    monkeypatch.setattr("sitniks_finmap.pipeline.courier.failpoint", meanwhile)
    with pytest.raises(PostedElsewhere, match="u1: Finmap already has 30 of these 30 transactions"):
        books.sync()
    assert len(books.shop.operations()) == 30
    assert books.rows("from finmap_upload") == []


def test_two_that_send_at_one_moment_stop_after_three(
    books: Books, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first requests of one are on their way while the other imports everything: neither could see the other."""
    for number in range(1, 31):
        books.sell(number, at=datetime(2026, 3, 1 + number % 9, 10, tzinfo=UTC))
    second = install("shop")
    begun, imported, number = threading.Barrier(3), threading.Event(), count()

    def on_its_way(name: str) -> None:
        if name == "request_ready" and (turn := next(number)) < 3:
            begun.wait(30)
            if turn == 0:
                second.sync()
                imported.set()
            assert imported.wait(60)

    monkeypatch.setattr("sitniks_finmap.clients.finmap.failpoint", on_its_way)
    with pytest.raises(PostedElsewhere, match="Nothing more was posted"):
        books.sync()
    assert len(books.shop.operations()) == 33
    books.sell(31)
    books.clock.forward(3600)
    for one in (books, second):
        with pytest.raises(PostedElsewhere):
            again(one).sync()
    assert len(books.shop.operations()) == 33


def test_what_others_put_into_finmap_is_no_obstacle(books: Books) -> None:
    """Operations of people and of other programs, some that cannot be read; its own keys are no other name's."""
    books.sell_many(3)
    rows = [
        {"externalId": "shop:tx_1", "type": "income", "sum": "?", "date": None},
        {"externalId": "shop:tx_2", "type": "transfer", "sum": 100, "date": 1773050400000},
        {"externalId": "crm-7", "type": "income", "sum": 100, "date": 1773050400000},
        {"externalId": None, "type": "income", "sum": 100, "date": 1773050400000},
    ]
    body = json.dumps({"list": rows, "total": 4})
    books.sandbox.fault(Fault("status", "finmap", path="/operations/list", status=200, body=body, times=2))
    books.sync()
    with books.warehouse.transaction() as con:
        con.execute("delete from finmap_upload")
    again(books).sync()
    assert len(books.shop.operations()) == 3


# -- Two installations with one name -----------------------------------------------------------------------------


def test_a_second_installation_is_noticed_and_doubles_nothing(books: Books, install: Install) -> None:
    books.sell_many(3)
    books.sync()
    books.edit(1, comment="мій коментар")
    books.sell(1, "150.00")
    second = install(folder="elsewhere")
    with pytest.raises(OtherInstallation):
        second.sync()
    with pytest.raises(OtherInstallation) as refused:
        again(second).sync()
    said = str(refused.value)
    assert said.startswith(f"u1: another installation of sitniks_finmap ({installation(books)}) writes to this Finmap")
    assert "`sitniks-finmap rebuild-ledger --connection u1`" in said
    assert second.rows("from finmap_upload") == []
    assert books.finmap()["tx_1"]["comment"] == "мій коментар"
    assert {name: str(value) for name, value in books.sums().items()} == dict.fromkeys(("tx_1", "tx_2", "tx_3"), "100")
    assert marks(books) == [f"sitniks_finmap u1 1 {installation(books)}"]
    again(books).sync()  # the first one goes on
    assert books.sums()["tx_1"] == 150


def test_a_rollback_is_refused_to_the_second_as_well(books: Books, install: Install) -> None:
    books.sell_many(2)
    books.sync()
    second = install(folder="elsewhere")
    claim(second.run.connection, second.warehouse, second.run.finmap, takeover=True)
    with books.warehouse.transaction() as con:
        planned = plan_rollback(con, first_day=START, last_day=books.clock().date())
    with pytest.raises(OtherInstallation):
        roll_back(again(books).run, planned)
    assert len(books.shop.operations()) == 2


def test_a_takeover_asks_and_then_the_first_is_refused(books: Books, install: Install, home: None) -> None:
    books.sell_many(3)
    books.sync()
    second = install(folder="elsewhere")
    declined = command("rebuild-ledger", "--connection", "u1", answer="n\n")
    assert (declined.exit_code, "another installation" in declined.output) == (0, True), declined.output
    assert len(marks(books)) == 1

    agreed = command("rebuild-ledger", "--connection", "u1", answer="y\n")
    assert (agreed.exit_code, "u1: 3 operations in Finmap" in agreed.output) == (0, True), agreed.output
    assert marks(books)[1:] == [f"sitniks_finmap u1 2 {installation(second)}"]
    books.sell(4)
    again(second).sync()
    assert len(books.shop.operations()) == 4
    books.sell(5)
    with pytest.raises(OtherInstallation):
        again(books).sync()
    assert len(books.shop.operations()) == 4
    assert [one.verdict for one in examine(books.run.connection) if "another installation" in one.what] == []


def test_a_healthy_ledger_keeps_what_it_knows_when_it_is_rebuilt(books: Books) -> None:
    books.sell_many(3)
    books.sync()
    with books.warehouse.transaction() as con:
        con.execute("delete from finmap_upload where external_id = 'u1:tx_3'")
    ledger = "from finmap_upload where external_id <> 'u1:tx_3' order by external_id"
    before = books.rows(ledger)
    books.warehouse.close()
    said = command("rebuild-ledger").output
    assert "u1: 3 operations in Finmap; new to the ledger: 1" in said
    assert books.rows(ledger) == before
    books.sell(1, "5.00")
    books.sync()
    assert str(books.sums()["tx_1"]) == "5"


def test_the_doctor_names_the_other_installation(books: Books, install: Install) -> None:
    books.sell_many(1)
    books.sync()
    second = install(folder="elsewhere")
    found = [one for one in examine(second.run.connection) if "another installation" in one.what]
    assert [one.verdict for one in found] == ["error"]


def test_a_lost_file_goes_on_by_itself(books: Books) -> None:
    books.sell_many(3)
    books.sync()
    books.warehouse.lose()
    again(books).sync()
    assert set(books.states().values()) == {"verified"}
    assert len(books.shop.operations()) == 3
    assert len(marks(books)) == 1


def test_a_file_that_moves_to_a_new_machine_takes_its_id_along(books: Books, install: Install, project: Path) -> None:
    books.sell_many(3)
    books.sync()
    books.warehouse.close()
    (project / "machine").mkdir()
    shutil.copy(project / "data" / "u1.duckdb", project / "machine" / "u1.duckdb")
    books.sell(4)
    moved = install(folder="machine")
    moved.sync()
    assert installation(moved) == installation(books)
    assert len(books.shop.operations()) == 4


def test_a_mark_that_a_person_deleted_is_left_again(books: Books) -> None:
    books.sell_many(1)
    books.sync()
    books.shop.delete_tag(marks(books)[0])
    again(books).sync()
    assert marks(books) == [f"sitniks_finmap u1 2 {installation(books)}"]


def test_two_that_leave_their_mark_at_once_both_stop(books: Books, install: Install) -> None:
    books.sell_many(3)
    second = install(folder="elsewhere")
    books.shop.add_tag("sitniks_finmap u1 1 0123456789ab")
    claim(books.run.connection, books.warehouse, books.run.finmap, takeover=True)
    books.shop.add_tag("sitniks_finmap u1 2 0123456789ab")
    for one in (books, second):
        with pytest.raises(OtherInstallation):
            again(one).sync()
    assert books.shop.operations() == []


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_finmap_that_takes_no_tags_only_warns(
    books: Books, caplog: pytest.LogCaptureFixture, status: int, method: str
) -> None:
    books.sandbox.fault(Fault("status", "finmap", method=method, path="/tags", status=status, times=None))
    books.sell_many(2)
    books.sync()
    assert len(books.shop.operations()) == 2
    assert "u1: this installation could not leave its mark in Finmap" in caplog.text


def test_a_finmap_that_rewrites_labels_gets_one_mark_and_no_more(books: Books) -> None:
    books.sell_many(1)
    books.sync()
    books.shop.delete_tag(marks(books)[0])
    body = '[{"id": "1", "label": "sitniks_finm", "parentId": ""}]'
    books.sandbox.fault(Fault("status", "finmap", method="GET", path="/tags", status=200, body=body, times=None))
    for _ in range(3):
        again(books).sync()
    assert len(marks(books)) == 1


def test_an_unknown_end_of_leaving_the_mark_is_no_obstacle(books: Books) -> None:
    books.sandbox.fault(Fault("drop_after", "finmap", method="POST", path="/tags"))
    books.sell_many(2)
    books.sync()
    again(books).sync()
    assert len(books.shop.operations()) == 2
    assert marks(books) == [f"sitniks_finmap u1 1 {installation(books)}"]


def test_the_installation_file_is_private_and_made_once(books: Books, project: Path) -> None:
    books.sell_many(1)
    books.sync()
    path = project / "data" / "installation"
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    again(books).sync()
    assert path.read_text() == before
    assert [one.name for one in (project / "data").iterdir() if one.name.startswith("installation.")] == []


def test_a_preview_leaves_no_mark(books: Books) -> None:
    books.sell_many(1)
    books.read()
    books.plan()
    assert marks(books) == []


# -- Orders as the source --


@pytest.mark.parametrize("first_import", ["post", "review"])
def test_a_renamed_table_of_orders_posts_nothing(keep_orders: KeepOrders, install: Install, first_import: str) -> None:
    """The days differ: the first saw the orders paid, one of them in two parts; the second finds them paid."""
    books = keep_orders()
    books.order(4, "Виконано")
    move(books, "Передплата", "Виконано", prepayment=30)
    for number in (2, 3):
        move(books, "Новий", "Виконано", number=number)
    move(books, "Повернено", number=4)
    move(books, "Виконано", number=5, at=books.clock() - timedelta(days=1))
    before = books.shop.operations()
    renamed = install("shop", source="orders", orders=LISTS, first_import=first_import)
    for _ in range(2):
        said = r'shop: Finmap already has 5 of these 5 orders under "u1" \("u1:order-<order>"\)'
        with pytest.raises(PostedElsewhere, match=said):
            order_sync(renamed)
    assert books.shop.operations() == before


def test_two_shops_whose_orders_count_alike_share_a_company(keep_orders: KeepOrders, install: Install) -> None:
    books = keep_orders()
    for number in range(1, 5):
        books.order(number, "Виконано")
    order_sync(books)
    for number in range(1, 5):
        books.order(number, "Виконано", total=f"{number}7.00")
    second = install("shop", source="orders", orders=LISTS, first_import="post")
    order_sync(second)
    assert len(books.shop.operations()) == 16


def test_a_renamed_table_is_known_whatever_date_it_uses(keep_orders: KeepOrders, install: Install) -> None:
    """The second dates what it finds by its last change, which is after all that the first has posted."""
    books = keep_orders()
    for number in range(1, 4):
        books.order(number, "Виконано", updatedAt="2026-03-10T11:00:00Z", at=datetime(2026, 3, 2, 9, tzinfo=UTC))
    order_sync(books)
    renamed = install("shop", source="orders", orders=LISTS | {"history_date": "updated"}, first_import="post")
    with pytest.raises(PostedElsewhere):
        order_sync(renamed)


def test_a_renamed_table_is_known_by_orders_that_moved_on(keep_orders: KeepOrders, install: Install) -> None:
    books = keep_orders()
    for number in range(1, 4):
        books.order(number, "Передплата", prepayment=30)
    order_sync(books)
    books.clock.forward(86400)
    for number in range(1, 3):
        books.order(number, "Виконано", prepayment=30)
    before = books.shop.operations()
    renamed = install("shop", source="orders", orders=LISTS)
    with pytest.raises(PostedElsewhere, match=r'shop: Finmap already has 3 of these 3 orders under "u1"'):
        order_sync(renamed)
    assert books.shop.operations() == before
