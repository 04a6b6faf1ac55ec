"""Each side proves to be the company that the warehouse was filled from: in every job, asset and command."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests
from click.testing import CliRunner, Result

from sitniks_finmap.cli.commands import cli
from sitniks_finmap.defs.connection_definitions import connection_definitions
from sitniks_finmap.defs.jobs import range_tags
from sitniks_finmap.defs.launch import run_job
from sitniks_finmap.people.doctor import examine
from sitniks_finmap.pipeline.identity import WrongCompany
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.books import Books, key
from sitniks_finmap_tests.dagster_runs import QUIET

pytestmark = pytest.mark.runs

TODAY = datetime.now(UTC).date()
NOON = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC) - timedelta(days=2)
DAYS = (TODAY - timedelta(days=5), TODAY)
Connect = Callable[..., Connection]


def sale(number: int, shop: str, minute: int = 0, **more: Any) -> dict[str, Any]:
    at = (NOON + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {"id": f"{shop}_{number}", "createdAt": at, "amount": "100.00", "description": f"Оплата {number}", **more}


class Company:
    """A shop of the sandbox that was synced once, as one connection."""

    def __init__(self, name: str, shop: Shop, connection: Connection, dagster: dg.DagsterInstance) -> None:
        self.name = name
        self.shop = shop
        self.connection = connection
        self.dagster = dagster
        shop.put_transactions([sale(number, name) for number in range(6)])
        assert self.run("sync") == ""

    def run(self, what: Any) -> str:
        """A job, or the materialization of one asset; returns why it failed."""
        if what in ("sync", "deliver", "preview"):
            return run_job(self.dagster, self.connection, what, *DAYS).why
        job = connection_definitions(self.connection).resolve_job_def(f"{self.connection.name}_sync")
        result = job.execute_in_process(
            instance=self.dagster,
            run_config=QUIET,
            tags=range_tags(*DAYS),
            asset_selection=[dg.AssetKey([self.connection.name, what])],
            raise_on_error=False,
        )
        failed = [event for event in result.all_events if event.is_step_failure]
        return "; ".join(str(event.step_failure_data.user_failure_data.description) for event in failed)  # type: ignore[union-attr]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with open_warehouse(self.connection).transaction() as con:
            return con.execute(query).fetchall()

    def everything(self) -> dict[str, Any]:
        """What must not change: both sides of the ledger, and what is known of Sitniks."""
        tables = ("operations", "finmap_upload", "finmap_operations", "account_mapping")
        said: dict[str, Any] = {table: sorted(map(str, self.rows(f"from {table}"))) for table in tables}
        said["sitniks"] = self.rows(
            "select transaction_id, version, gone_at from raw_sitniks_transactions order by 1, 2"
        )
        return said | {"finmap": self.shop.operations()}


@pytest.fixture
def two(sandbox: Sandbox, connect: Connect, dagster: dg.DagsterInstance) -> tuple[Company, Company]:
    shops = sandbox.shop(), sandbox.add_shop("other")
    connections = connect("u1", start_date=DAYS[0]), connect("u2", shop="other", start_date=DAYS[0])
    a, b = (Company(*one, dagster) for one in zip(("a", "b"), shops, connections, strict=True))
    return a, b


def command(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=answer)


def swap(monkeypatch: pytest.MonkeyPatch, side: str, a: Company, b: Company) -> None:
    for mine, others in ((a, b), (b, a)):
        variable = getattr(mine.connection, f"{side}_key_env")
        monkeypatch.setenv(variable, getattr(others.shop, f"{side}_key"))


# -- The wrong company's key -------------------------------------------------------------------------------------


def test_sitniks_keys_of_two_shops_swapped_move_nothing(
    two: tuple[Company, Company], monkeypatch: pytest.MonkeyPatch
) -> None:
    swap(monkeypatch, "sitniks", *two)
    for company in two:
        before = company.everything()
        for what in ("sync", "preview", "raw_sitniks_transactions", "raw_sitniks_orders"):
            why = company.run(what)
            name = company.connection.name
            assert f"{name}: this looks like the Sitniks key of another company" in why
            assert f"{name.upper()}_SITNIKS_API_KEY" in why
            assert f"sitniks-finmap accept-key --connection {name}" in why
            assert "sandbox-sitniks-key" not in why
        assert company.everything() == before


@pytest.mark.parametrize("account", ["by name", "by ID"])
def test_a_wrong_finmap_key_moves_nothing_in_any_job(
    two: tuple[Company, Company], connect: Connect, monkeypatch: pytest.MonkeyPatch, account: str
) -> None:
    a, b = two
    if account == "by ID":
        a.connection = connect("u1", start_date=DAYS[0], finmap_account=a.shop.accounts[0]["id"])
        assert a.run("sync") == ""
    a.shop.put_transactions([sale(1, "a", amount="150.00"), sale(7, "a")])
    assert a.run("preview") == ""
    swap(monkeypatch, "finmap", a, b)
    before = a.everything(), b.everything()
    for what in ("sync", "deliver", "operations", "finmap_upload", "finmap_operations"):
        assert "u1: this looks like the Finmap key of another company" in a.run(what)
    assert (a.everything(), b.everything()) == before


def test_no_command_works_with_a_wrong_finmap_key(
    two: tuple[Company, Company], home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = two
    swap(monkeypatch, "finmap", a, b)
    before = a.everything(), b.everything()
    first, last = str(DAYS[0]), str(DAYS[1])
    for arguments in (
        ["sync"],
        ["preview"],
        ["catch-up", "--until", last],
        ["rebuild-ledger", "--yes"],
        ["rollback", "--from", first, "--to", last, "--yes"],
    ):
        result = command(*arguments, "--connection", "u1")
        told = result.output + str(result.exception)
        assert (result.exit_code, "looks like the Finmap key of another company" in told) == (1, True), told
    assert (a.everything(), b.everything()) == before
    assert command("explain", "a_1", "--connection", "u1").exit_code == 0  # it only looks


def test_the_doctor_says_whose_key_it_looks_like(two: tuple[Company, Company], monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = two
    swap(monkeypatch, "finmap", a, b)
    swap(monkeypatch, "sitniks", a, b)
    wrong = [one.what for one in examine(a.connection) if one.verdict == "error"]
    assert [what[:48] for what in wrong] == [
        "this looks like the Finmap key of another compan", "this looks like the Sitniks key of another compa",
    ]  # fmt: skip
    swap(monkeypatch, "finmap", a, a)
    swap(monkeypatch, "sitniks", a, a)
    assert not [one for one in examine(a.connection) if one.verdict == "error"]


def test_a_file_of_an_earlier_version_is_examined_first(
    two: tuple[Company, Company], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = two
    a.rows("delete from identity")
    swap(monkeypatch, "sitniks", a, b)
    assert "Sitniks key of another company" in a.run("sync")
    swap(monkeypatch, "sitniks", a, a)
    assert a.run("sync") == ""
    assert a.rows("select side, how from identity order by side") == [
        ("finmap", "examined"), ("sitniks", "examined"),
    ]  # fmt: skip


# -- The right company's key -------------------------------------------------------------------------------------


def again(books: Books) -> Books:
    """The next run: its clients are new."""
    books.configure(books.run.connection)
    return books


def asked(books: Books) -> list[tuple[str, str]]:
    return [(one.api, one.path) for one in books.sandbox.requests()]


def test_the_same_key_proves_itself_without_a_request(books: Books) -> None:
    books.sell_many(3)
    books.sync()
    books.sandbox.forget_requests()
    again(books)
    assert asked(books) == []
    books.sync()
    assert asked(books).count(("finmap", "/tags")) == 1
    assert len(asked(books)) == 5  # transactions; accounts, tags, and two pages of the list


def test_a_new_key_of_the_same_company_is_examined_once(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    books.sell_many(30)
    books.sync()
    for side in ("sitniks", "finmap"):
        monkeypatch.setenv(f"U1_{side.upper()}_API_KEY", books.sandbox.issue_key(side))  # type: ignore[arg-type]
    books.sandbox.forget_requests()
    again(books)
    assert sorted(set(asked(books))) == [
        ("finmap", "/accounts"), ("finmap", "/operations/details"), ("sitniks", "/transactions"),
    ]  # fmt: skip
    assert len(asked(books)) == 3
    books.sandbox.forget_requests()
    again(books)
    assert asked(books) == []


def test_the_key_itself_is_nowhere_in_the_file(books: Books) -> None:
    books.sell_many(1)
    books.sync()
    rows = str(books.rows("from identity"))
    assert "sandbox" not in rows
    salts = books.rows("select distinct salt, key_hash from identity")
    assert len(salts) == 2


def test_some_deletions_by_people_do_not_make_a_key_doubtful(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    books.sell_many(5)
    books.sync()
    for number in (1, 2, 3, 4):
        books.throw_out(number)
        books.unsell(number)
    for side in ("sitniks", "finmap"):
        monkeypatch.setenv(f"U1_{side.upper()}_API_KEY", books.sandbox.issue_key(side))  # type: ignore[arg-type]
    again(books)
    assert books.rows("select distinct how from identity") == [("examined",)]


def test_shops_with_the_same_transaction_ids_are_told_apart(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    other = books.sandbox.add_shop("other")
    books.sell_many(5)
    books.sync()
    other.put_transactions(
        [{"id": f"tx_{n}", "createdAt": f"2026-03-09T11:00:0{n}.000Z", "amount": "100.00"} for n in range(1, 6)]
    )
    monkeypatch.setenv("U1_SITNIKS_API_KEY", other.sitniks_key)
    with pytest.raises(WrongCompany, match="its list shows none of the transactions known since 2026-03-09"):
        again(books)


def test_the_same_key_in_another_company_is_no_proof(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same name of a connection, in another installation, on another company."""
    other = books.sandbox.add_shop("other")
    books.sell_many(2)
    books.sync()
    with books.warehouse.transaction() as con:
        con.execute("delete from account_mapping")  # so that only the operations can tell
    for number in (1, 2):
        body = {"externalId": key(number), "amount": 100, "accountToId": other.accounts[0]["id"]}
        url, headers = f"{books.sandbox.finmap_url}/operations/income", {"apiKey": other.finmap_key}
        assert requests.post(url, json=body, headers=headers, timeout=5).status_code == 201
    monkeypatch.setenv("U1_FINMAP_API_KEY", other.finmap_key)
    with pytest.raises(WrongCompany, match="it shows none of 2 operations"):
        again(books)


def test_nothing_is_asked_of_a_company_while_nothing_is_known(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong key that is put right before anything was read."""
    other = books.sandbox.add_shop("other")
    monkeypatch.setenv("U1_SITNIKS_API_KEY", other.sitniks_key)
    again(books).read()
    monkeypatch.undo()
    books.sell_many(1)
    monkeypatch.setenv("U1_SITNIKS_API_KEY", books.shop.sitniks_key)
    monkeypatch.setenv("U1_FINMAP_API_KEY", books.shop.finmap_key)
    again(books).sync()
    assert books.states() == {"tx_1": "verified"}


# -- What a person says ------------------------------------------------------------------------------------------


def test_a_person_accepts_the_key_of_a_shop_that_was_emptied(
    two: tuple[Company, Company], home: None, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _ = two
    for row in a.shop.operations():
        a.shop.delete_operation(row["externalId"])
    for row in a.shop.transactions():
        a.shop.delete_transaction(row["id"])
    assert "nothing to accept" in command("accept-key", "--connection", "u1").output
    for side in ("sitniks", "finmap"):
        monkeypatch.setenv(f"U1_{side.upper()}_API_KEY", sandbox.issue_key(side))  # type: ignore[arg-type]
    assert "another company" in a.run("sync")

    declined = command("accept-key", "--connection", "u1", answer="n\n")
    assert declined.exit_code == 0
    assert "Finmap: it shows none of 5 operations" in declined.output
    assert "Sitniks: its list shows none of the transactions known since" in declined.output
    assert "another company" in a.run("sync")

    accepted = command("accept-key", "--connection", "u1", "--yes")
    assert (accepted.exit_code, "accepted" in accepted.output) == (0, True)
    assert a.rows("select distinct how from identity") == [("accepted",)]
    assert a.run("sync") == ""


# -- An account's name -------------------------------------------------------------------------------------------


def test_a_name_that_stands_for_another_account_is_refused(books: Books, connect: Connect) -> None:
    books.sell_many(2)
    books.sync()
    old = books.shop.accounts[0]["id"]
    books.shop.rename_account("Каса", "Каса стара")
    new = books.shop.add_account("Каса")["id"]
    assert new != old
    books.sell(3)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=f'u1: .*"Каса" used to be {old}, but now it is {new}'):
            again(books).sync()
    assert {row["accountToId"] for row in books.shop.operations()} == {old}
    assert len(books.shop.operations()) == 2

    books.configure(connect(start_date=date(2026, 3, 1), finmap_account=new))  # a person has chosen
    books.sync()
    assert books.finmap()["tx_3"]["accountToId"] == new


def test_a_mapped_account_by_name_is_held_to_its_id_as_well(keep_books: Callable[..., Books]) -> None:
    books = keep_books(accounts={"7": "ФОП"})
    books.sell(1, settlementAccountId=7)
    books.sync()
    books.shop.rename_account("ФОП", "ФОП закритий")
    books.shop.add_account("ФОП")
    with pytest.raises(ConfigurationError, match='"ФОП" used to be'):
        books.sync()
    assert len(books.shop.operations()) == 1


def test_another_text_in_the_configuration_is_a_persons_choice(books: Books, connect: Connect) -> None:
    books.sell_many(2)
    books.sync()
    books.configure(connect(start_date=date(2026, 3, 1), finmap_account="ФОП"))
    books.sell(3)
    books.sync()
    assert books.finmap()["tx_3"]["accountToId"] == books.shop.accounts[1]["id"]


def test_a_changed_prefix_posts_nothing_again(books: Books, connect: Connect) -> None:
    books.sell_many(2)
    books.sync()
    with pytest.raises(ConfigurationError, match=r'Set key_prefix = "u1" in connections.toml'):
        books.configure(connect(start_date=date(2026, 3, 1), key_prefix="other"))
    assert len(books.shop.operations()) == 2


def test_explain_and_doctor_leave_no_trace(connection: Connection, project: Path) -> None:
    assert list(examine(connection))
    assert not open_warehouse(connection).exists()
    assert not (project / "data" / "installation").exists()
    assert ConnectionRun(connection, open_warehouse(connection), proving=False).finmap
    assert not open_warehouse(connection).exists()
