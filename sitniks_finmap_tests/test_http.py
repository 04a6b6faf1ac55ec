"""One polite HTTP session: what is tried again, what stops, what is said, and that no key is ever in it."""

import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from sitniks_finmap.clients import http
from sitniks_finmap.clients.answers import ApiError, KeyRefused, Limited, Unavailable, Unreachable
from sitniks_finmap.clients.http import (
    LONGEST_PAUSE,
    PAUSE_AFTER_429,
    READ_ATTEMPTS,
    UNREACHED_ATTEMPTS,
    USER_AGENT,
    Api,
)
from sitniks_finmap.clients.ratelimit import RateLimiter
from sitniks_finmap.clients.reasons import message_of
from sitniks_finmap.sandbox import Fault, Sandbox, Shop

PATH = "/transactions"


class Waits:
    """A clock that moves on only by sleeping; `slept` is what was slept, in order."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def between_attempts() -> Waits:
    return Waits()


@pytest.fixture
def paused() -> Waits:
    return Waits()


@pytest.fixture
def api(sandbox: Sandbox, shop: Shop, project: Path, between_attempts: Waits, paused: Waits) -> Api:
    return api_with(sandbox, shop.sitniks_key, between_attempts, paused)


def api_with(sandbox: Sandbox, key: str, between_attempts: Waits, paused: Waits) -> Api:
    limiter = RateLimiter(Path("limits"), key, 0, clock=paused.clock, sleep=paused.sleep)
    headers = {"Authorization": f"Bearer {key}"}
    return Api("Sitniks", sandbox.sitniks_url, headers, limiter, sleep=between_attempts.sleep)


@pytest.fixture
def fault(sandbox: Sandbox) -> Callable[..., None]:
    def fault(kind: Any, times: int | None = 1, **more: Any) -> None:
        sandbox.fault(Fault(kind, "sitniks", times=times, **more))

    return fault


# -- What is sent and what comes back --


def test_the_user_agent_and_the_key_are_sent(api: Api, sandbox: Sandbox) -> None:
    assert api.read("GET", PATH).status == 200
    [request] = sandbox.requests()
    assert request.user_agent == USER_AGENT
    assert request.shop == "demo"


def test_numbers_arrive_exactly_and_the_text_as_it_came(api: Api, shop: Shop) -> None:
    shop.put_transaction('{"id": 1,  "amount":1500.10, "sum": 0.30000000000000004}', datetime(2025, 1, 15, tzinfo=UTC))
    reply = api.read("GET", PATH)
    assert '{"id": 1,  "amount":1500.10, "sum": 0.30000000000000004}' in reply.text
    assert reply.body["data"][0]["amount"] == Decimal("1500.10")
    assert reply.body["data"][0]["sum"] == Decimal("0.30000000000000004")


@pytest.mark.parametrize(
    ("absurd", "read"),
    [
        pytest.param("1" * 9999, Decimal("1" * 9999), id="ten thousand digits"),
        pytest.param("1e99999999999999999999", Decimal("Infinity"), id="an exponent of twenty digits"),
        pytest.param('"a\nb\tc\x00"', "a\nb\tc\x00", id="raw control characters"),
        pytest.param("[" * 20_000 + '"]"' + "]" * 20_000, ..., id="nested ten thousand times"),
        pytest.param('{"a":' * 20_000 + r'"\\\""' + "}" * 20_000, ..., id="objects in objects"),
    ],
)
def test_an_absurd_value_does_not_make_the_rest_unreadable(
    absurd: str, read: Any, api: Api, fault: Callable[..., None]
) -> None:
    fault(
        "status", status=200, body=f'\ufeff{{"data": [{{"id": 1, "x": {absurd}, "y": "]["}}, {{"id": 2}}], "count": 2}}'
    )
    body = api.read("GET", PATH).body
    one, other = body["data"]
    assert (one["id"], one["y"], other, body["count"]) == (1, "][", {"id": 2}, 2)
    assert read is ... or one["x"] == read


def test_query_values_are_percent_encoded(api: Api, sandbox: Sandbox) -> None:
    assert api.read("GET", PATH, params={"createdAtFrom": "вчора"}).status == 400
    assert sandbox.requests()[-1].query.isascii()


def test_a_refusal_of_the_record_comes_back_with_what_was_said(api: Api, sandbox: Sandbox) -> None:
    reply = api.read("GET", PATH, params={"limit": 51})
    assert (reply.status, message_of(reply.body)) == (400, "limit_must_not_be_greater_than_50")
    assert len(sandbox.requests()) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "not_found"}, "not_found"),
        ({"message": ["one", "two"]}, "one; two"),
        ({"message": "two\nlines \t and more"}, "two lines and more"),
        ({"message": "x" * 1000}, "x" * 300),
        ({"error": "not_found"}, "not_found"),
        ({"error": {"code": 7, "message": "expired"}}, "expired"),
        ({"errors": [{"detail": "one"}, {"detail": "two"}]}, "one; two"),
        ({"message": "not here", "error": "Forbidden"}, "not here"),
        (["?"], "?"),
        (["?", 3, None, {}], "?"),
        (None, ""),
    ],
)
def test_the_message_of_an_error_is_one_short_line(body: Any, said: str) -> None:
    assert message_of(body) == said


def test_the_clock_of_the_api_is_compared_with_ours(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(datetime):
        """A clock of this machine that is two hours slow."""

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) - timedelta(hours=2)

    for clock, ahead in ((datetime, timedelta(0)), (Slow, timedelta(hours=2))):
        monkeypatch.setattr(http, "datetime", clock)
        api.read("GET", PATH)
        assert api.clock_ahead is not None
        assert abs(api.clock_ahead - ahead) < timedelta(seconds=5)


# -- What is tried again --

TROUBLE = [
    pytest.param({"kind": "status", "status": 500}, "answered 500", id="500"),
    pytest.param({"kind": "status", "status": 502}, "answered 502", id="502"),
    pytest.param({"kind": "status", "status": 503, "headers": {"Retry-After": "1"}}, "answered 503", id="503"),
    pytest.param({"kind": "drop_before"}, "did not answer", id="dropped"),
    pytest.param({"kind": "truncated", "full_length": True}, "did not answer", id="body breaks off"),
    pytest.param({"kind": "truncated"}, "not whole JSON", id="truncated JSON"),
    pytest.param({"kind": "html"}, "answered 200 with a web page", id="HTML with 200"),
    pytest.param({"kind": "html_403"}, "answered 403 with a web page", id="HTML with 403"),
    pytest.param({"kind": "status", "status": 200, "body": "OK"}, "not whole JSON", id="200 without JSON"),
    pytest.param({"kind": "status", "status": 200, "body": "[" * 9999}, "not whole JSON", id="nested without end"),
    pytest.param({"kind": "status", "status": 200, "body": "[" * 99 + "]" * 98}, "not whole JSON", id="an end short"),
    pytest.param({"kind": "status", "status": 301}, "answered 301", id="redirect"),
]  # fmt: skip


@pytest.mark.parametrize(("trouble", "said"), TROUBLE)
def test_trouble_that_passes_ends_in_an_answer(
    trouble: dict[str, Any], said: str, api: Api, fault: Callable[..., None], between_attempts: Waits
) -> None:
    fault(**trouble, times=READ_ATTEMPTS - 1)
    assert api.read("GET", PATH).body == {"data": [], "count": 0}
    assert len(between_attempts.slept) == READ_ATTEMPTS - 1
    assert all(0 < seconds < 60 for seconds in between_attempts.slept)


def test_a_side_that_was_never_reached_is_not_waited_for(
    api: Api, sandbox: Sandbox, between_attempts: Waits, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    api.connection = "u1"
    sandbox.stop()
    with pytest.raises(Unreachable, match=r"^Sitniks did not answer \(.*: the connection was refused\)$"):
        api.read("GET", PATH)
    assert len(between_attempts.slept) == UNREACHED_ATTEMPTS - 1
    said = caplog.messages[0]
    assert said.startswith("u1: Sitniks did not answer (")
    assert said.endswith("the connection was refused); retrying (attempt 2)")


@pytest.mark.parametrize("answer", [{"kind": "status", "status": 500}, {"kind": "status", "status": 429}])
def test_a_side_that_answered_once_whatever_it_was_is_waited_for(
    answer: dict[str, Any], api: Api, fault: Callable[..., None], sandbox: Sandbox, between_attempts: Waits
) -> None:
    fault(**answer)
    with pytest.raises(Unavailable):
        api.send("GET", PATH)
    sandbox.stop()
    with pytest.raises(Unavailable, match="the connection was refused"):
        api.read("GET", PATH)
    assert len(between_attempts.slept) == READ_ATTEMPTS - 1


@pytest.mark.parametrize(("trouble", "said"), TROUBLE)
def test_trouble_that_stays_is_said_after_a_few_attempts(
    trouble: dict[str, Any], said: str, api: Api, fault: Callable[..., None], sandbox: Sandbox
) -> None:
    fault(**trouble, times=None)
    with pytest.raises(Unavailable, match=f"^Sitniks .*{said}"):
        api.read("GET", PATH)
    assert len(sandbox.requests()) == READ_ATTEMPTS


@pytest.mark.parametrize(("trouble", "said"), TROUBLE)
def test_a_write_is_sent_once_whatever_became_of_it(
    trouble: dict[str, Any], said: str, api: Api, fault: Callable[..., None], sandbox: Sandbox
) -> None:
    fault(**trouble, times=None)
    with pytest.raises(Unavailable):
        api.write("POST", PATH, b"{}")
    assert len(sandbox.requests()) == 1


def test_attempts_are_further_and_further_apart(api: Api, fault: Callable[..., None], between_attempts: Waits) -> None:
    fault("status", times=None)
    with pytest.raises(Unavailable):
        api.read("GET", PATH)
    first, *_, last = between_attempts.slept
    assert first < 2 < 8 <= last


@pytest.mark.parametrize("kind", ["slow", "slow_after"])
def test_an_answer_that_does_not_come_in_time_is_not_waited_for(
    kind: str, api: Api, fault: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT", (1.0, 0.05))
    fault(kind, times=2, seconds=5)
    with pytest.raises(Unavailable, match="did not answer"):
        api.send("GET", PATH)
    assert api.read("GET", PATH).status == 200


@pytest.mark.timeout(40)
@pytest.mark.parametrize("kind", ["drip", "drip_head"])
def test_an_answer_that_drips_endlessly_is_abandoned(
    kind: str, api: Api, fault: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece comes within the time-out of requests; the whole would take longer than this test may.

    The next answer has its own time.
    """
    monkeypatch.setattr(http, "ANSWER_WITHIN", 0.3)
    fault(kind, times=2, seconds=60)
    with pytest.raises(Unavailable, match="did not answer"):
        api.send("GET", PATH)
    assert api.read("GET", PATH).status == 200


@pytest.mark.parametrize("kind", ["drip", "drip_head"])
def test_an_answer_that_drips_to_its_end_is_whole(kind: str, api: Api, fault: Callable[..., None]) -> None:
    fault(kind, seconds=0.2)
    assert api.send("GET", PATH).body == {"data": [], "count": 0}


def test_nobody_listening_is_said(sandbox: Sandbox, api: Api) -> None:
    sandbox.stop()
    with pytest.raises(Unavailable, match=r"^Sitniks did not answer \(127.0.0.1:\d+: the connection was refused\)$"):
        api.send("GET", PATH)


def test_a_redirect_is_not_followed(api: Api, fault: Callable[..., None], sandbox: Sandbox) -> None:
    fault("status", status=302, times=None, headers={"Location": f"{sandbox.finmap_url}/health"})
    with pytest.raises(Unavailable):
        api.read("GET", PATH)
    assert sandbox.requests("finmap") == []


# -- The key --


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_is_not_tried_again(
    status: int, api: Api, fault: Callable[..., None], sandbox: Sandbox, between_attempts: Waits
) -> None:
    fault("status", status=status, times=None)
    for request in (api.read, api.write):
        sandbox.forget_requests()
        with pytest.raises(KeyRefused, match=rf"^Sitniks refused the key \({status}\).*\.env"):
            request("GET", PATH)
        assert len(sandbox.requests()) == 1
    assert between_attempts.slept == []


def test_a_revoked_key_and_a_missing_right_are_told(api: Api, shop: Shop) -> None:
    shop.forbid("sitniks", PATH)
    with pytest.raises(KeyRefused, match="403"):
        api.read("GET", PATH)
    shop.revoke("sitniks")
    with pytest.raises(KeyRefused, match="401"):
        api.read("GET", PATH)


def test_a_netrc_file_cannot_replace_the_key(api: Api, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "netrc").write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(project / "netrc"))
    assert api.read("GET", PATH).status == 200


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        *TROUBLE,
        pytest.param({"kind": "status", "status": 401}, "refused the key", id="401"),
        pytest.param({"kind": "status", "status": 429}, "answered 429", id="429"),
    ],
)
def test_no_message_and_no_log_shows_the_key(
    trouble: Any, said: str, api: Api, fault: Callable[..., None], shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fault(**trouble, times=None)
    with pytest.raises(ApiError) as error:
        api.read("GET", PATH)
    told = "".join(traceback.format_exception(error.value)) + caplog.text
    assert said in told
    assert shop.sitniks_key not in told


def test_a_key_that_cannot_be_a_header_is_not_shown(sandbox: Sandbox, between_attempts: Waits, paused: Waits) -> None:
    with pytest.raises(Unavailable) as error:
        api_with(sandbox, "half a key\nand the rest", between_attempts, paused).send("GET", PATH)
    assert "half" not in str(error.value)


# -- The rate limit --


def test_a_429_that_says_nothing_is_waited_out_as_measured(
    api: Api, fault: Callable[..., None], paused: Waits, sandbox: Sandbox
) -> None:
    fault("status", status=429)
    assert api.read("GET", PATH).status == 200
    assert sum(paused.slept) == PAUSE_AFTER_429
    assert len(sandbox.requests()) == 2


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        ("5", 5.0),
        ("0", 1.0),
        ("-3", 1.0),
        ("2.5", 2.5),
        ("86400", LONGEST_PAUSE),
        ("inf", LONGEST_PAUSE),
        ("soon", PAUSE_AFTER_429),
        ("", PAUSE_AFTER_429),
        ("Wed, 15 Jan 2025 10:00:00 GMT", 1.0),
        ("Wed, 15 Jan 3025 10:00:00 GMT", LONGEST_PAUSE),
        ("Wed, 99 Jan 2025 10:00:00 GMT", PAUSE_AFTER_429),
    ],
)
def test_a_429_that_says_how_long_is_obeyed_within_reason(
    retry_after: str, pause: float, api: Api, fault: Callable[..., None], paused: Waits
) -> None:
    fault("status", status=429, headers={"Retry-After": retry_after})
    assert api.read("GET", PATH).status == 200
    assert sum(paused.slept) == pytest.approx(pause)


def test_a_429_with_a_moment_is_waited_until_then(api: Api, fault: Callable[..., None], paused: Waits) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    fault("status", status=429, headers={"Retry-After": moment})
    assert api.read("GET", PATH).status == 200
    assert 25 < sum(paused.slept) <= 30


def test_a_429_pauses_everybody_on_the_key_and_nobody_else(
    sandbox: Sandbox, api: Api, shop: Shop, fault: Callable[..., None]
) -> None:
    fault("status", status=429, shop="demo")
    same, other = Waits(), Waits()
    another_shop = sandbox.add_shop("second")
    with pytest.raises(Limited):
        api.send("GET", PATH)
    api_with(sandbox, shop.sitniks_key, Waits(), same).send("GET", PATH)
    api_with(sandbox, another_shop.sitniks_key, Waits(), other).send("GET", PATH)
    assert (sum(same.slept), sum(other.slept)) == (PAUSE_AFTER_429, 0)


def test_a_rate_limited_write_is_sent_again(
    api: Api, fault: Callable[..., None], paused: Waits, sandbox: Sandbox
) -> None:
    fault("status", status=429, times=2)
    assert api.write("POST", PATH, b"{}").status == 404  # the sandbox takes no transactions
    assert sum(paused.slept) == 2 * PAUSE_AFTER_429
    assert len(sandbox.requests()) == 3


def test_a_limit_that_never_ends_is_said(api: Api, fault: Callable[..., None], paused: Waits, sandbox: Sandbox) -> None:
    fault("status", status=429, times=None)
    with pytest.raises(Limited, match="429: the rate limit of the key"):
        api.read("GET", PATH)
    assert len(sandbox.requests()) == READ_ATTEMPTS
