"""Writes docs/configuration.md from the models, so that the page always matches the code.

python docs/make_configuration.py > docs/configuration.md
"""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from sitniks_finmap.days import format_duration
from sitniks_finmap.settings.connections import Connection, Orders, Rule

HEAD = """\
# Settings

`connections.toml` has one table for each connection. The table's name is the connection's unique name (`[a-z0-9_]+`)
and, unless `key_prefix` is set, the first part of every externalId in Finmap. Change it only with
`sitniks-finmap rename OLD NEW`, so that the operations keep their keys. This page is generated from the code by
`python docs/make_configuration.py > docs/configuration.md`.

```toml
[sitniks_user_1]
start_date = 2025-01-15
finmap_account = "Каса"

[sitniks_user_1.accounts]
"ФОП" = "Рахунок ФОП"            # Sitniks settlement account -> Finmap account

[sitniks_user_1.categories]
marketplace_commission = "Комісії"  # classification -> Finmap category

[[sitniks_user_1.rules]]
classification = "packaging"
sign = "expense"
description = ["пакув", "коробк"]
```

If a table has a mistake, the message names the connection and the setting; the other connections run.

Write dates as `2025-01-15`, and durations as a number with a unit: `"30s"`, `"15m"`, `"6h"`, `"1d"`. Only the settings
marked *required* are mandatory.

## A connection
"""

ORDERS = """
## Orders as the source

With `source = "orders"`, the table `[….orders]` says what the order statuses of the company mean; a status is given by
its title or its ID. [Transactions or orders?](sources.md) says what becomes of an order. Three defaults differ:
`source_as_tag = true`, `lookback_days = 45`, `first_import = "review"`. `accounts` and `rules` are for transactions.
`categories` has the classifications `prepayment`, `sale`, `refund`, `cost_of_goods` and `restock`.

```toml
[shop_2]
source = "orders"
start_date = 2025-01-15
finmap_account = "Каса"

[shop_2.orders]
paid = ["Виконано"]
prepaid = ["Передплата"]
refunded = ["Повернено"]
cancelled = ["Відмінено"]
stock_account = "Склад"

[shop_2.channels]
"Rozetka" = "Рахунок ФОП"
```

When you change a list, what it adds waits for `approve`, and so does what it takes away.
"""

RULES = """
## A rule

The rules of a connection are tried before the built-in ones (`sitniks_finmap/rules.toml`). The first rule whose
conditions are all met decides; matching ignores case. The built-in classifications are `client_payment`, `social_sale`,
`marketplace_sale`, `marketplace_commission`, `delivery`, `refund` and `other`; your rules may add new ones
(`[a-z0-9_]+`).
"""

ENVIRONMENT = """
## The environment

Variables are read from the environment and from `.env` in the working directory. As in Dagster, `.env` takes precedence.

| variable | default | what it is |
|---|---|---|
| `<NAME>_SITNIKS_API_KEY`, `<NAME>_FINMAP_API_KEY` | | API keys of a connection, unless `sitniks_key_env` and `finmap_key_env` name other variables. |
| `SITNIKS_FINMAP_CONNECTIONS` | `connections.toml` | Path of the connections file. |
| `SITNIKS_FINMAP_DATA` | `data` | Folder of the DuckDB files. |
| `SITNIKS_FINMAP_KEEP_RUNS_DAYS` | `30` | Dagster runs older than this are deleted every night, with their events and logs; 1 to 9999. |
| `DAGSTER_HOME` | `<data>/dagster` | Where Dagster keeps its runs; an absolute path. The default is for `sitniks-finmap` only: export the variable for `dagster`. |
| `ALERT_URLS` | | The operator, who is notified of every shop and of the server: [apprise](https://github.com/caronc/apprise) URLs, separated by spaces. See [monitoring.md](monitoring.md). |
| `SITNIKS_FINMAP_LANGUAGE` | `uk` | Language of messages to the operator, and of the index of reports: `uk` or `en`. Commands speak it, too; if it is not set, they speak the language of the system. |
| `SITNIKS_FINMAP_UI_URL` | | Address of the Dagster UI: messages and reports link to the run. |
| `HEARTBEAT_URL` | | A URL of healthchecks.io or Uptime Kuma, which the daemon calls every five minutes. |
"""  # noqa: E501


def page() -> str:
    return (
        HEAD + table(Connection, but={"name"}) + ORDERS + table(Orders, but=set()) + RULES + table(Rule, but=set())
        + ENVIRONMENT
    )  # fmt: skip


def table(model: type[BaseModel], but: set[str]) -> str:
    lines = ["\n| setting | default | what it is |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        if name not in but:
            lines.append(f"| `{name}` | {shown(field.default)} | {field.description} |")
    return "\n".join(lines) + "\n"


def shown(default: Any) -> str:
    if default is PydanticUndefined:
        return "required"
    if default in (None, "", [], {}):
        return ""
    if isinstance(default, timedelta):
        return f'`"{format_duration(default)}"`'
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        return "`[" + ", ".join(f'"{one}"' for one in default) + "]`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{default}`"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
