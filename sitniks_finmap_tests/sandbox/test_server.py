import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from sitniks_finmap.sandbox import Fault, Sandbox

from .clients import Client, Clock


def test_the_whole_state_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    with Sandbox(path) as sandbox:
        client = Client(sandbox, sandbox.add_shop("b"))
        client.shop.put_transaction({"id": "t", "amount": Decimal("1.10"), "createdAt": "2026-01-01T00:00:00Z"})
        client.shop.put_order({"id": 1})
        client.shop.add_account("Євро", "EUR")
        client.shop.add_category("income", "Продажі")
        client.finmap("POST", "/tags", {"label": "т"})
        client.income()
        client.expense("gone")
        client.shop.delete_operation("gone")
        before = (client.shop.operations(), client.shop.accounts, client.shop.tags(), client.shop.orders())
    with Sandbox(path) as sandbox:
        client = Client(sandbox, sandbox.shop("b"))
        shop = client.shop
        assert (shop.operations(), shop.accounts, shop.tags(), shop.orders()) == before
        assert shop.transactions()[0]["amount"] == Decimal("1.10")
        assert client.page() == (["t"], 1)
        assert client.income().status_code == 409
        assert client.expense("gone").status_code == 409


KILLED = """
import sys, time
from sitniks_finmap.sandbox import Sandbox
with Sandbox(sys.argv[1]) as sandbox:
    print(sandbox.finmap_url, sandbox.shop().finmap_key, sandbox.shop().accounts[0]["id"], flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a signal")
def test_a_killed_sandbox_keeps_everything_it_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    command = [sys.executable, "-c", KILLED, str(path)]
    folder = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:  # noqa: S603
        assert process.stdout
        url, key, account = process.stdout.readline().split()
        session = requests.Session()
        for number in range(50):
            body = {"accountToId": account, "externalId": f"x:{number}"}
            session.post(f"{url}/operations/income", json=body, headers={"apiKey": key}, timeout=5)
        os.kill(process.pid, signal.SIGKILL)
    with Sandbox(path) as sandbox:
        assert len(sandbox.shop().operations()) == 50


def test_an_id_of_a_deleted_operation_can_be_free_if_one_wants() -> None:
    with Sandbox(reuse_deleted_ids=True) as sandbox:
        client = Client(sandbox, sandbox.shop())
        client.income()
        client.shop.delete_operation("x:1")
        assert client.income(amount=5).status_code == 201
        assert [row["sum"] for row in client.shop.operations()] == [5]
        assert client.income().status_code == 409


def test_shops_know_nothing_of_each_other(client: Client) -> None:
    other = Client(client.sandbox, client.sandbox.add_shop(f"{client.shop.name}_other"))
    client.shop.put_transaction({"id": "t"})
    client.shop.put_order({"id": 1})
    client.shop.add_tag("т")
    client.income()
    assert other.page() == ([], 0)
    assert other.sitniks("/orders/1").status_code == 404
    assert other.shop.tags() == []
    assert other.details() is None
    assert other.listed() == []
    assert other.finmap("PATCH", "/operations/income/byExternalId/x:1", {}).status_code == 400
    foreign = {"accountToId": client.account, "externalId": "x:1"}
    assert other.finmap("POST", "/operations/income", foreign).status_code == 400
    assert other.income().status_code == 201


def test_keys_are_fixed_and_a_shop_is_made_once(sandbox: Sandbox) -> None:
    demo, other = sandbox.shop(), sandbox.add_shop("b")
    assert (demo.sitniks_key, demo.finmap_key) == ("sandbox-sitniks-key", "sandbox-finmap-key")
    assert (other.sitniks_key, other.finmap_key) == ("sandbox-sitniks-key-b", "sandbox-finmap-key-b")
    assert sandbox.add_shop("b") is other
    with pytest.raises(KeyError):
        sandbox.shop("none")
    with pytest.raises(ValueError, match="name"):
        sandbox.add_shop("Велика")


def test_a_company_may_have_several_keys(sandbox: Sandbox) -> None:
    sandbox.add_shop("second")
    keys = {sandbox.issue_key("finmap", "second") for _ in range(2)} | {sandbox.shop("second").finmap_key}
    assert len(keys) == 3
    for key in keys:
        accounts = requests.get(f"{sandbox.finmap_url}/accounts", headers={"apiKey": key}, timeout=5).json()
        assert accounts == sandbox.shop("second").accounts


def test_a_name_that_is_given_again_stands_for_another_account(sandbox: Sandbox) -> None:
    shop = sandbox.shop()
    old = shop.rename_account("Каса", "Каса стара")
    new = shop.add_account("Каса")
    assert old["id"] != new["id"]
    assert [account["label"] for account in shop.accounts].count("Каса") == 1
    shop.add_tag("міток")
    shop.delete_tag("міток")
    assert shop.tags() == []
    with pytest.raises(KeyError):
        shop.delete_tag("міток")


def test_only_one_of_many_creations_with_one_id_succeeds(client: Client) -> None:
    clients = [Client(client.sandbox, client.shop) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda one: [one.income(f"x:{number}").status_code for number in range(10)], clients))
    for number in range(10):
        assert sorted(column[number] for column in got) == [201, *[409] * 7]
    assert len(client.shop.operations()) == 10


def test_rows_can_be_put_while_clients_read(client: Client) -> None:
    with ThreadPoolExecutor(2) as pool:
        put = pool.submit(client.shop.put_transactions, [{"id": number} for number in range(20_000)])
        while not put.done():
            ids, count = client.page(limit=1)
            assert len(ids) == min(1, count)
        put.result()
    assert client.page()[1] == 20_000


def test_every_request_is_recorded_and_no_key_with_it(client: Client) -> None:
    client.income("a b")
    client.finmap("PATCH", "/operations/income/byExternalId/a%20b", {"amount": 1}, offset=0)
    client.sitniks("/transactions", limit=5)
    mine = client.sandbox.requests(shop=client.shop.name)
    assert [(one.api, one.method, one.path, one.status) for one in mine] == [
        ("finmap", "POST", "/operations/income", 201),
        ("finmap", "PATCH", "/operations/income/byExternalId/a%20b", 200),
        ("sitniks", "GET", "/transactions", 200),
    ]
    assert mine[1].parameters == {"offset": "0"}
    assert mine[1].body == '{"amount": 1}'
    assert mine[0].monotonic <= mine[1].monotonic
    assert mine[0].user_agent.startswith("python-requests")
    assert "key" not in repr(mine)
    assert len(client.sandbox.requests("finmap", method="PATCH", path="/operations")) == 1
    client.sandbox.forget_requests()
    assert client.sandbox.requests() == []


def test_answers_have_a_length(client: Client) -> None:
    answer = client.sitniks("/transactions")
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_it_stops_even_while_a_client_waits() -> None:
    sandbox = Sandbox().start()
    client = Client(sandbox, sandbox.shop())
    sandbox.fault(Fault("slow", "finmap", seconds=300))
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(client.income, timeout=60)
        while not sandbox.requests():
            time.sleep(0.01)
        pool.submit(sandbox.stop).result(timeout=30)
        with pytest.raises(requests.ConnectionError):
            waiting.result()
    sandbox.stop()  # a second time does nothing


def test_a_port_can_be_chosen_and_used_again_at_once() -> None:
    with Sandbox() as first:
        port = urlsplit(first.url).port or 0
        requests.get(first.url + "/sandbox", timeout=5)
        with pytest.raises(OSError, match=r"."):
            Sandbox(port=port).start()
    with Sandbox(port=port) as second:
        assert second.url == f"http://127.0.0.1:{port}"
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


def test_the_date_of_an_answer_moves_with_the_clock() -> None:
    clock = Clock()
    with Sandbox(clock=clock) as sandbox:
        dates = []
        for path in ("/sandbox", "/open-api/transactions", "/v2.2/accounts", "/sandbox"):
            dates.append(requests.get(sandbox.url + path, timeout=5).headers["Date"])
            clock.forward(90)
    assert dates == [f"Tue, 10 Mar 2026 12:0{minute} GMT" for minute in ("0:00", "1:30", "3:00", "4:30")]
