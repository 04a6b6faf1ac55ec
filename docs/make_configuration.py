"""Writes docs/configuration.md from the models, so that the page cannot tell another story than the code.

python docs/make_configuration.py > docs/configuration.md
"""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from sitniks_finmap.connections import Connection, Rule, spoken

HEAD = """\
# Settings

`connections.toml` has one table for each connection; the table's name is its unique name (`[a-z0-9_]+`) and the first
half of every externalId in Finmap. Change it with `sitniks-finmap rename OLD NEW`, never by hand alone: the operations
keep their keys then. This page is made from the code by `python docs/make_configuration.py`.

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

A table with a mistake gives one message that names the connection and the setting; the other connections run.

## A connection
"""

RULES = """
## A rule

Rules of the connection come before the built-in ones (`sitniks_finmap/rules.toml`), whose classifications are
`client_payment`, `social_sale`, `marketplace_sale`, `marketplace_commission`, `delivery`, `refund` and `other`. The
first rule whose every condition holds decides.
"""

ENVIRONMENT = """
## The environment

Read from the environment and from `.env` in the working folder, which comes first, as Dagster does it.

| variable | default | what it is |
|---|---|---|
| `<NAME>_SITNIKS_API_KEY`, `<NAME>_FINMAP_API_KEY` | | The keys of a connection, unless `sitniks_key_env` and `finmap_key_env` name others. |
| `SITNIKS_FINMAP_CONNECTIONS` | `connections.toml` | The file of the connections. |
| `SITNIKS_FINMAP_DATA` | `data` | The folder of the DuckDB files. |
| `SITNIKS_FINMAP_KEEP_RUNS_DAYS` | `30` | Every night Dagster runs older than this are deleted, with their events and logs. |
| `DAGSTER_HOME` | `<data>/dagster` | Where Dagster keeps its runs; an absolute path. |
| `ALERT_URLS` | | Who is told, in apprise's notation, separated by spaces. |
"""  # noqa: E501


def page() -> str:
    return HEAD + table(Connection, but={"name"}) + RULES + table(Rule, but=set()) + ENVIRONMENT


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
        return f'`"{spoken(default)}"`'
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        return "`[" + ", ".join(f'"{one}"' for one in default) + "]`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{default}`"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
