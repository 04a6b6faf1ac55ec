"""The Finmap client: what it sends digit for digit, what it reads back, and how an answer becomes an outcome."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sitniks_finmap.clients.answers import KeyRefused, Refused, Unavailable
from sitniks_finmap.clients.finmap import Finmap, Outcome, read_operation
from sitniks_finmap.content import FIELDS, Content
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, Sandbox, Shop

NOON = datetime(2025, 1, 15, 12, tzinfo=UTC)
NUMBERS = count(1)


@pytest.fixture
def finmap(run: ConnectionRun) -> Finmap:
    run.finmap.api.sleep = lambda seconds: None
    return run.finmap


def content(shop: Shop, **changed: Any) -> Content:
    plain = {
        "type": "income",
        "amount": Decimal("1500.00"),
        "occurred_at": NOON,
        "account": shop.accounts[0]["id"],
        "category": None,
        "tag": None,
        "comment": "Оплата за замовлення #123",
    }
    return Content(**{**plain, **changed})


def answer_with(sandbox: Sandbox, status: int, body: Any, **where: Any) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    sandbox.fault(Fault("status", "finmap", status=status, body=text, **where))


# -- Writing -----------------------------------------------------------------------------------------------------


def test_a_creation_sends_amount_and_account_and_nothing_empty(finmap: Finmap, shop: Shop, sandbox: Sandbox) -> None:
    account = shop.accounts[0]["id"]
    finmap.create("u1:tx_1", content(shop))
    finmap.create("u1:tx_2", content(shop, type="expense", amount=Decimal("95.5"), comment=""))

    assert [(request.path, request.body) for request in sandbox.requests("finmap")] == [
        (
            "/operations/income",
            f'{{"amount": 1500.00, "externalId": "u1:tx_1", "date": 1736942400000, "accountToId": "{account}", '
            '"comment": "Оплата за замовлення #123"}',
        ),
        (
            "/operations/expense",
            f'{{"amount": 95.5, "externalId": "u1:tx_2", "date": 1736942400000, "accountFromId": "{account}"}}',
        ),
    ]


@given(amount=st.decimals("0.01", "9999999999999.99", places=2))
def test_an_amount_is_written_digit_for_digit(amount: Decimal) -> None:
    sent: list[bytes] = []

    class Ears:
        """Takes what would be sent."""

        def write(self, method: str, path: str, body: bytes) -> Any:
            sent.append(body)
            raise Unavailable("nobody is there")

    client = Finmap(Ears())  # type: ignore[arg-type]
    written = client.create("u1:tx_1", Content("income", amount, NOON, "a", None, None, "к"))
    assert f'"amount": {amount:f},'.encode() in sent[0]
    assert json.loads(sent[0], parse_float=Decimal)["amount"] == amount
    assert written.outcome is Outcome.UNKNOWN


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    amount=st.decimals("0.01", "9999999999.99", places=2),
    at=st.datetimes(datetime(2015, 1, 2), datetime(2026, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    comment=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: text.strip()),
    type=st.sampled_from(["income", "expense"]),
    number=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
)
def test_what_was_created_is_read_back_equal(
    finmap: Finmap, shop: Shop, amount: Decimal, at: datetime, comment: str, type: str, number: str
) -> None:
    """Whatever the amount, the moment, the comment and the key hold: no difference, so no needless patch."""
    wanted = content(
        shop, type=type, amount=amount, comment=comment,
        occurred_at=at.replace(microsecond=at.microsecond // 1000 * 1000),
    )  # fmt: skip
    external_id = f"{next(NUMBERS)}:{number}"
    assert finmap.create(external_id, wanted).outcome is Outcome.APPLIED

    found = finmap.details(external_id)
    assert found
    assert found.external_id == external_id
    assert found.content == wanted

    changed = content(shop, type=type, amount=amount + 1, comment=f"{comment}.", occurred_at=at + timedelta(days=1))
    assert finmap.update(external_id, type, differing(found.content, changed)).outcome is Outcome.APPLIED
    again = finmap.details(external_id)
    assert again
    assert again.content.amount == amount + 1


def test_an_update_says_only_what_changes(finmap: Finmap, shop: Shop, sandbox: Sandbox) -> None:
    first, second = (account["id"] for account in shop.accounts[:2])
    finmap.create("u1:tx/1", content(shop, type="expense"))
    sandbox.forget_requests()
    finmap.update("u1:tx/1", "expense", {"account": second, "occurred_at": NOON + timedelta(seconds=1)})
    (request,) = sandbox.requests("finmap")
    assert (request.method, request.path) == ("PATCH", "/operations/expense/byExternalId/u1%3Atx%2F1")
    assert json.loads(request.body) == {"accountFromId": second, "date": 1736942401000}
    assert [row["accountFromId"] for row in shop.operations()] == [second] != [first]


@pytest.mark.parametrize(
    ("status", "body", "outcome", "error"),
    [
        (201, {"status": "Processed now", "statusCode": "1"}, Outcome.APPLIED, None),
        (201, {"status": "Processed now", "statusCode": 1}, Outcome.APPLIED, None),
        (201, {"status": "Stored", "statusCode": "2"}, Outcome.ACCEPTED, None),
        (201, {"status": "In the queue for processing", "statusCode": "0"}, Outcome.ACCEPTED, None),
        (201, {"status": "Stored"}, Outcome.ACCEPTED, None),
        (201, {"status": "Error", "statusCode": "3"}, Outcome.ERROR, "Finmap answered Error"),
        (409, {"message": "Item already exist."}, Outcome.EXISTS, "Item already exist."),
        (
            400,
            {"message": ["date: too early", "amount: negative"]},
            Outcome.REFUSED,
            "400 date: too early; amount: neg",
        ),
        (404, {"message": "Not found"}, Outcome.ERROR, "404 Not found"),
        (201, {}, Outcome.UNKNOWN, "without a known status"),
        (201, [], Outcome.UNKNOWN, "without a known status"),
        (201, "", Outcome.UNKNOWN, "without a known status"),
        (201, '{"status": "Proc', Outcome.UNKNOWN, "not whole JSON"),
        (200, "<!doctype html>", Outcome.UNKNOWN, "web page"),
        (403, "<html>firewall</html>", Outcome.UNKNOWN, "web page"),
        (500, {}, Outcome.UNKNOWN, "answered 500"),
        (302, "", Outcome.UNKNOWN, "answered 302"),
    ],
)
def test_every_answer_to_a_write_has_one_outcome(
    finmap: Finmap, shop: Shop, sandbox: Sandbox, status: int, body: Any, outcome: Outcome, error: str | None
) -> None:
    answer_with(sandbox, status, body, method="POST")
    write = finmap.create("u1:tx_1", content(shop))
    assert write.outcome is outcome
    assert (error is None and write.error is None) or (error and error in str(write.error))
    assert len(sandbox.requests("finmap")) == 1  # an unknown outcome is not sent on in the hope of a better one


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_no_outcome_of_a_record(finmap: Finmap, shop: Shop, sandbox: Sandbox, status: int) -> None:
    answer_with(sandbox, status, {"message": "Unauthorized"}, times=None)
    with pytest.raises(KeyRefused):
        finmap.create("u1:tx_1", content(shop))
    with pytest.raises(KeyRefused):
        finmap.details("u1:tx_1")
    with pytest.raises(KeyRefused):
        finmap.accounts()
    assert len(sandbox.requests("finmap")) == 3  # each asked once


# -- Reading -----------------------------------------------------------------------------------------------------


def test_a_missing_operation_or_an_empty_list_is_none(finmap: Finmap, shop: Shop, sandbox: Sandbox) -> None:
    assert finmap.details("u1:tx_1") is None
    answer_with(sandbox, 200, {"list": [], "total": 0}, path="/operations/details")
    assert finmap.details("u1:tx_1") is None


def test_a_lookup_answered_with_another_operation_finds_nothing(finmap: Finmap, sandbox: Sandbox) -> None:
    """Should the filter be ignored one day, the first operation of the company must not pass for ours."""
    other = {"externalId": "u1:tx_10", "type": "income", "sum": 1500, "date": 1736942400000}
    answer_with(sandbox, 200, {"list": [other], "total": 1}, path="/operations/details")
    assert finmap.details("u1:tx_1") is None


@pytest.mark.parametrize("body", [{"total": 1}, {"list": None}, [], "nothing", ""])
def test_a_look_up_that_makes_no_sense_is_no_proof_of_absence(finmap: Finmap, sandbox: Sandbox, body: Any) -> None:
    answer_with(sandbox, 200, body, path="/operations/details", times=None)
    with pytest.raises((Unavailable, Refused)):
        finmap.details("u1:tx_1")


@pytest.mark.parametrize("field", ["sum", "date"])
@pytest.mark.parametrize("value", [None, "вчора", {}, "NaN", Decimal("Infinity")])
def test_an_unreadable_operation_is_refused_without_its_content(field: str, value: Any) -> None:
    row = {"externalId": "u1:tx_1", "type": "income", "sum": 5, "date": 1736942400000, "comment": "Клієнт 70001"}
    with pytest.raises(Refused) as refused:
        read_operation({**row, field: value})
    assert "70001" not in str(refused.value)


def differing(has: Content, wanted: Content) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in FIELDS if getattr(has, name) != getattr(wanted, name)}


def test_the_word_empty_is_a_missing_reference(finmap: Finmap, shop: Shop) -> None:
    finmap.create("u1:tx_1", content(shop))
    assert [row["categoryId"] for row in shop.operations()] == ["empty"]
    found = finmap.details("u1:tx_1")
    assert found
    assert (found.content.category, found.content.tag) == (None, None)


def test_a_list_is_read_to_its_end_in_pages_of_a_hundred(finmap: Finmap, shop: Shop, sandbox: Sandbox) -> None:
    for n in range(205):
        wanted = content(shop, occurred_at=NOON + timedelta(seconds=n % 7))
        finmap.create(f"u1:tx_{n}", wanted)
    finmap.create("u1:later", content(shop, occurred_at=NOON + timedelta(days=1)))
    finmap.create("u1:elsewhere", content(shop, account=shop.accounts[1]["id"]))
    sandbox.forget_requests()

    finmap.create("other:tx_1", content(shop))
    sandbox.forget_requests()

    rows = list(finmap.operations(NOON, NOON + timedelta(hours=1), "u1:"))

    # Of every account: a person may have moved one.
    assert sorted(row.external_id for row in rows) == sorted([*(f"u1:tx_{n}" for n in range(205)), "u1:elsewhere"])
    bodies = [json.loads(request.body) for request in sandbox.requests("finmap")]
    assert [(body["offset"], body["limit"]) for body in bodies] == [(0, 100), (100, 100), (200, 100), (207, 100)]
    assert not any("select" in body for body in bodies)  # it cannot return externalId


def test_a_page_that_is_cut_short_is_not_taken_for_the_end(finmap: Finmap, shop: Shop, sandbox: Sandbox) -> None:
    """`total` counts the whole company: nothing but an empty page says that nothing follows."""
    for n in range(130):
        finmap.create(f"u1:tx_{n}", content(shop))
    sandbox.fault(Fault("page_short", "finmap", delta=40))
    assert len(list(finmap.operations(NOON, NOON, "u1:"))) == 130


def test_a_list_that_repeats_its_page_for_ever_is_left(finmap: Finmap, sandbox: Sandbox) -> None:
    row = {"externalId": "u1:tx_1", "type": "income", "sum": 1, "date": 1736942400000}
    body = json.dumps({"list": [row], "total": 1})
    sandbox.fault(Fault("status", "finmap", path="/operations/list", status=200, body=body, times=None))
    assert len(list(finmap.operations(NOON, NOON, "u1:"))) == 1


def test_the_directories_are_read(finmap: Finmap, shop: Shop) -> None:
    sale, tag = shop.add_category("income", "Продажі"), shop.add_tag("Instagram")
    assert [(one.id, one.label, one.currency) for one in finmap.accounts()] == [
        (one["id"], one["label"], one["currencyId"]) for one in shop.accounts
    ]
    assert [(one.id, one.label) for one in finmap.categories("income")] == [(sale["id"], "Продажі")]
    assert finmap.categories("expense") == []
    assert [(one.id, one.label) for one in finmap.tags()] == [(tag["id"], "Instagram")]


def test_a_directory_that_is_not_a_list_is_not_an_empty_one(finmap: Finmap, sandbox: Sandbox) -> None:
    answer_with(sandbox, 200, {"message": "щось"}, path="/accounts")
    with pytest.raises(Refused, match="/accounts"):
        finmap.accounts()
