"""What a connection is: one shop, its settings and its keys."""

import os
import tomllib
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sitniks_finmap.names import normal_name
from sitniks_finmap.settings.text_files import bare_key
from sitniks_finmap.settings.value_types import (
    BaseUrl,
    Classification,
    Duration,
    KeyPrefix,
    Name,
    SecretUrl,
    StartDate,
    TimeOfDay,
    TimeOfWeek,
    Variable,
    Zone,
)

CommentField = Literal[
    "description", "counterparty", "source", "order_number", "payment_method", "delivery", "order_status"
]
STAGES = ("paid", "prepaid", "refunded", "partly_refunded", "cancelled")
ORDER_CLASSIFICATIONS = ("prepayment", "sale", "refund", "cost_of_goods", "restock")
# Where they differ from those of transactions: an order moves for weeks, and a wrong list of statuses is costly.
ORDER_DEFAULTS = {"source_as_tag": True, "lookback_days": 45, "first_import": "review"}
READ_BEFORE_START = timedelta(days=60)  # orders created before start_date may be paid after it


class ConfigurationError(Exception):
    """connections.toml or the environment is invalid; the message says what to change."""


class MissingKey(ConfigurationError):
    """An API key is missing from the environment, or its value cannot be a key."""


class Rule(BaseModel):
    """A classification rule; the first rule that matches all its conditions wins.

    A word list matches when one of its words occurs in the text, ignoring case.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    classification: Classification = Field(description="Classification of the transactions that meet the conditions.")
    sign: Literal["income", "expense"] | None = Field(None, description='`"income"` or `"expense"`; both if omitted.')
    source: list[Name] = Field([], description="Words; the source must contain one of them.")
    description: list[Name] = Field([], description="Words; the description must contain one of them.")


@cache
def built_in_rules() -> list[Rule]:
    """The rules tried after a connection's own."""
    text = files("sitniks_finmap").joinpath("rules.toml").read_text("utf-8")
    return [Rule.model_validate(rule) for rule in tomllib.loads(text)["rules"]]


class Orders(BaseModel):
    """What the order statuses of a company mean, and whether the cost of goods is moved as well."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paid: list[Name] = Field(min_length=1, description="Titles or IDs of the statuses of orders that are paid in full.")
    prepaid: list[Name] = Field([], description="Statuses of orders whose prepayment was received.")
    refunded: list[Name] = Field([], description="Statuses of orders whose money was returned in full.")
    partly_refunded: list[Name] = Field(
        [], description="Statuses of orders whose money was returned in part: what the order's total fell by."
    )
    cancelled: list[Name] = Field(
        [], description="Statuses of orders that were cancelled. A prepayment stays until it is refunded."
    )
    stock_account: Name | None = Field(
        None, description="ID or name of the Finmap account of the stock. If set, the cost of goods is moved as well."
    )
    restock_on_refund: bool = Field(
        True, description="Whether the cost of goods returns to the stock when an order is refunded in full."
    )
    history_date: Literal["created", "updated"] = Field(
        "created",
        description="The day of money that was there when the order was first read, which Sitniks does not tell: "
        '`"created"` is the day on which the order was created, `"updated"` that of its last change.',
    )

    @model_validator(mode="after")
    def _each_status_once(self) -> Self:
        stages: dict[str, str] = {}
        for stage in STAGES:
            for status in getattr(self, stage):
                other = stages.setdefault(normal_name(status), stage)
                if other != stage:
                    raise ValueError(f'the status "{status}" is in {other} and in {stage}; keep one of them')
        return self

    @property
    def statuses(self) -> list[tuple[str, str]]:
        """Stage and status (title or ID) of every entry of the lists."""
        return [(stage, status.strip()) for stage in STAGES for status in getattr(self, stage)]


class Connection(BaseModel):
    """One shop: a Sitniks company, its Finmap account, and the sync settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: KeyPrefix = Field(description="The unique name; the title of the table in connections.toml.")
    start_date: StartDate = Field(description="First day to import, in `timezone`; 2015-01-01 or later.")
    finmap_account: Name = Field(description="ID or name of the Finmap account that receives the operations.")
    sitniks_key_env: Variable = Field(
        "", validate_default=False, description="Environment variable with the Sitniks key; "
        "default: `<NAME>_SITNIKS_API_KEY`.",
    )  # fmt: skip
    finmap_key_env: Variable = Field(
        "", validate_default=False, description="Environment variable with the Finmap key; "
        "default: `<NAME>_FINMAP_API_KEY`.",
    )  # fmt: skip
    key_prefix: KeyPrefix = Field(
        "", validate_default=False, description="First part of every externalId in Finmap; default: the connection's "
        "name. `sitniks-finmap rename` sets it as needed; never change it by hand.",
    )  # fmt: skip
    timezone: Zone = Field("Europe/Kyiv", description="IANA time zone of the shop's days, and of times without a zone.")
    sync_every: Duration = Field(timedelta(hours=1), description="How often recent days are synced.")
    retry_every: Duration = Field(timedelta(minutes=15), description="How often failed operations are retried.")
    full_resync_every: Duration = Field(
        timedelta(days=7), description="How often the whole history is read again, a month at a time."
    )
    lookback_days: int = Field(7, ge=0, le=366, description="How many recent days every sync reads again; 0 to 366.")
    deliver_minutes: int = Field(
        45, ge=1, le=1440,
        description="How many minutes a run of the sensor delivers; the next run continues. 1 to 1440.",
    )  # fmt: skip
    on_change: Literal["update", "ask", "keep"] = Field(
        "update",
        description='When a transaction changes in Sitniks: `"update"` updates Finmap, `"ask"` waits for '
        '`approve`, `"keep"` leaves Finmap as it is.',
    )
    on_delete: Literal["withdraw", "ask", "keep"] = Field(
        "ask",
        description='When a transaction is gone from Sitniks: `"withdraw"` deletes it in Finmap, `"ask"` waits for '
        '`approve`, `"keep"` leaves Finmap as it is.',
    )
    max_change_share: float = Field(
        0.2, ge=0, le=1,
        description="If more than this share of at least 20 operations would be updated or deleted at once, the "
        "changes wait for `approve`, because the source may be broken. 0 to 1; 1 turns this off.",
    )  # fmt: skip
    first_import: Literal["post", "review"] = Field(
        "post", description='`"post"` delivers the first import immediately, `"review"` holds it for `approve`.'
    )
    final_order_statuses: list[Name] = Field(
        [], description="Titles of the final order statuses. If set, orders in any other status are read again even "
        "after `lookback_days`: often if they changed recently, otherwise less and less often.",
    )  # fmt: skip
    sitniks_url: BaseUrl = Field("https://crm.sitniks.com/open-api", description="Base URL of the Sitniks API.")
    finmap_url: BaseUrl = Field("https://api.finmap.online/v2.2", description="Base URL of the Finmap API.")
    sitniks_requests_per_second: float = Field(1.0, ge=0, le=1000, description="Rate limit of the key; 0 = no limit.")
    finmap_requests_per_second: float = Field(2.0, ge=0, le=1000, description="Rate limit of the key; 0 = no limit.")
    comment_fields: list[CommentField] = Field(
        ["description", "counterparty", "source", "order_number", "payment_method", "delivery", "order_status"],
        description="Parts of the comment in Finmap, in this order: any of the seven in the default.",
    )
    source_as_tag: bool = Field(False, description="`true` also adds the source to the operation as a tag.")
    accounts: dict[Name, Name] = Field(
        {}, description="Sitniks settlement account (ID or title) → Finmap account (ID or name)."
    )
    unmapped_accounts: Literal["default", "reject"] = Field(
        "default",
        description='Payments of settlement accounts that `accounts` does not map, if it maps any: `"default"` posts '
        'them to `finmap_account`, `"reject"` rejects them. `status` and `doctor` list these accounts.',
    )
    source: Literal["transactions", "orders"] = Field(
        "transactions",
        description='What is read from Sitniks: `"transactions"`, or `"orders"` if the transactions of the company '
        "cannot be read. Fixed once anything was posted.",
    )
    orders: Orders | None = Field(None, description='The table `[….orders]`; required by `source = "orders"`.')
    channels: dict[Name, Name] = Field(
        {}, description='Sales channel → Finmap account (ID or name), for `source = "orders"`.'
    )
    bank_feed: Literal["warn", "accepted"] = Field(
        "warn",
        description='`"accepted"` silences the warning about operations of others in the Finmap account, such as those '
        "of a bank feed.",
    )
    language: Literal["uk", "en"] = Field(
        "uk", description='Language of messages to the owner, and of the report: `"uk"` or `"en"`.'
    )
    alerts: list[SecretUrl] = Field(
        [],
        description='Who is told about this shop, as `"env:NAME"`: the variable holds apprise URLs. The operator, '
        "`ALERT_URLS`, is told about every shop.",
    )
    alert_after: Duration = Field(
        timedelta(minutes=30), description="How long syncs may fail before a message, if Sitniks or Finmap is down."
    )
    stale_after: Duration = Field(
        timedelta(hours=3),
        description="How long a shop may go without a complete sync before a message; never less than two syncs.",
    )
    heartbeat_url: SecretUrl | None = Field(
        None,
        description='`"env:NAME"`: the variable holds a URL of healthchecks.io or Uptime Kuma, which every sync calls.',
    )
    digest_at: TimeOfDay | None = Field(
        None,
        description='When to send yesterday\'s totals every day, in `timezone`: `"09:00"`; off if omitted.',
    )
    weekly_digest_at: TimeOfWeek | None = Field(
        None,
        description="When to send the totals of the last seven whole days, in `timezone`, with the report attached if "
        'there is one: `"monday 09:00"` sums up Monday to Sunday; off if omitted.',
    )
    report_names: bool = Field(
        False, description="Whether the report (`sitniks-finmap report`) names the customers of the records it lists."
    )
    categories: dict[Classification, Name] = Field({}, description="Classification → Finmap category (ID or name).")
    rules: list[Rule] = Field([], description="Classification rules, tried before the built-in ones.")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_source(cls, table: Any) -> Any:
        if isinstance(table, dict) and table.get("source") == "orders":
            return {**ORDER_DEFAULTS, **table}
        return table

    @model_validator(mode="after")
    def _settings_fit_the_source(self) -> Self:
        other = ("accounts", "rules") if self.source == "orders" else ("orders", "channels")
        if unfit := [name for name in other if getattr(self, name)]:
            raise ValueError(f'{" and ".join(unfit)}: not with source = "{self.source}"')
        if self.source == "orders" and self.orders is None:
            raise ValueError(
                f'source = "orders" needs a table [{self.name}.orders] with at least paid = ["…"], the statuses of '
                "paid orders"
            )
        return self

    @model_validator(mode="after")
    def _categories_are_known(self) -> Self:
        if self.source == "orders":
            known = dict.fromkeys(ORDER_CLASSIFICATIONS)
        else:
            known = dict.fromkeys(rule.classification for rule in [*built_in_rules(), *self.rules])
        if unknown := [one for one in self.categories if one not in known]:
            raise ValueError(
                f"categories: no rule calls a transaction {' or '.join(unknown)}; there are {', '.join(known)}"
            )
        return self

    def model_post_init(self, context: Any) -> None:
        for side in ("sitniks", "finmap"):
            if not getattr(self, f"{side}_key_env"):
                object.__setattr__(self, f"{side}_key_env", default_key_env(self.name, side))
        if not self.key_prefix:
            object.__setattr__(self, "key_prefix", self.name)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def first_read_day(self) -> date:
        """The first day to read from Sitniks."""
        return self.start_date - READ_BEFORE_START if self.source == "orders" else self.start_date

    def today(self, now: datetime) -> date:
        """The local date at `now`."""
        return now.astimezone(self.zone).date()

    def key(self, side: Literal["sitniks", "finmap"]) -> str:
        """Read the API key of one side from the environment. Raises MissingKey."""
        variable = getattr(self, f"{side}_key_env")
        if why := _wrong_keys(variable):
            raise MissingKey(f"{self.name}: {why}")
        return bare_key(os.environ[variable])

    def known_keys(self) -> list[str]:
        """The keys of both sides that are in the environment: secrets to redact from responses."""
        variables = (self.sitniks_key_env, self.finmap_key_env)
        return [key for variable in variables if (key := bare_key(os.environ.get(variable, "")))]

    def problem(self) -> str | None:
        """Why this connection cannot run in the current environment, or None."""
        why = _wrong_keys(self.sitniks_key_env, self.finmap_key_env)
        return f"{self.name}: {why}" if why else None


def _wrong_keys(*variables: str) -> str:
    """Describe everything wrong with the keys in these environment variables; empty if all look valid."""
    keys = {variable: bare_key(os.environ.get(variable, "")) for variable in variables}
    missing = [variable for variable, key in keys.items() if not key]
    odd = [variable for variable, key in keys.items() if not key.isascii() or not key.isprintable() or " " in key]
    said = [f"{variable} holds characters that no key has; copy the key into .env again" for variable in odd]
    if len(missing) > 1:
        said.append(f"the environment variables {' and '.join(missing)} are not set; put them into .env")
    elif missing:
        said.append(f"the environment variable {missing[0]} is not set; put it into .env")
    return "; ".join(said)


def default_key_env(name: str, side: str) -> str:
    """The environment variable of a connection's key, unless its table names another one."""
    return f"{name.upper()}_{side.upper()}_API_KEY"
