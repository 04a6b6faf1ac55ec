"""Which English words are left in what a Ukrainian reads."""

import re

# Not sentences: commands, quotations, what is written in connections.toml, requests, paths, names with marks in them.
VERBATIM = re.compile(
    r"`[^`]*`|«[^»]*»|\"[^\"]*\"|\[\[?[\w.…]+\]?\]|\b(?:GET|POST|PATCH|DELETE) /\S+|\bsitniks-finmap .*"
    r"|--[\w-]+(?: [A-Z]+)?|\S*\w[/\\_@=:.-]\w\S*|\S*[\d/]\S*|\(\w+\)|поля: [\w., ]+"
)
NAMES = {
    "Sitniks", "Finmap", "Dagster", "DuckDB", "JSON", "URL", "TLS", "UTF", "TOML", "NTP", "ID", "IANA", "UAH", "API",
    "UI", "Telegram", "Instagram", "Rozetka", "externalId", "createdAt", "updatedAtFrom", "rollback", "approve",
    "dismiss", "preview",
}  # fmt: skip
PAIR = re.compile(r"(?<![\w'])([A-Za-z]{2,})[ ,:]+(?=([A-Za-z]{2,})(?![\w']))")


def english_in(said: str) -> list[str]:
    """Each two English words that stand side by side."""
    plain = VERBATIM.sub(" · ", said)
    return [f"{one} {two}" for one, two in PAIR.findall(plain) if not {one, two} & NAMES]
