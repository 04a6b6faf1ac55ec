"""What Finmap shows a person, as one page: the operations of a shop of the sandbox, the latest first."""

from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from .exchange import HTML_TYPE, Answer
from .tenant import Shop

KYIV = ZoneInfo("Europe/Kyiv")
MOST = 200
HEADINGS = ("Дата", "Сума", "Рахунок", "Категорія", "Теги", "Коментар", "externalId")
PAGE = """\
<!doctype html>
<html lang="uk">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Finmap · {title}</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1c2430; background: #fff }}
table {{ border-collapse: collapse }}
th, td {{ text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #dfe3e8 }}
td:nth-child(-n + 2) {{ white-space: nowrap }}
.sum {{ text-align: right; font-variant-numeric: tabular-nums }}
.income {{ color: #14713d }}
.key, caption {{ color: #5b6675; font-size: .85em }}
caption {{ text-align: left; padding-bottom: .8rem }}
</style>
<h1>Finmap</h1>
<table>
<caption>{caption}</caption>
<tr>{head}</tr>
{rows}
</table>
"""


def finmap_page(shop: Shop) -> Answer:
    operations = sorted(shop.operations(), key=lambda row: row["date"], reverse=True)
    shown = operations[:MOST]
    caption = f"Пісочниця, магазин {shop.name}. Операцій: {len(operations)}" + (
        f"; показано останні {MOST}." if len(operations) > MOST else "."
    )
    page = PAGE.format(
        title=escape(shop.name),
        caption=escape(caption),
        head="".join(f"<th{' class=sum' if one == 'Сума' else ''}>{one}" for one in HEADINGS),
        rows="\n".join(map(_row, shown)),
    )
    return Answer(200, page.encode(), HTML_TYPE)


def _row(operation: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(operation["date"] / 1000, KYIV)
    income = operation["type"] == "income"
    amount = f"{Decimal(operation['sum']):,.2f}".replace(",", "\N{NO-BREAK SPACE}").replace(".", ",")
    cells = [
        ("", f"{at:%d.%m.%Y %H:%M}"),
        ("sum income" if income else "sum", f"{'+' if income else '−'}{amount} {operation['currencySymbol']}"),
        ("", operation["accountName"]),
        ("", operation["categoryName"]),
        ("", operation["tags"]),
        ("", operation["comment"]),
        ("key", operation["externalId"]),
    ]
    return "<tr>" + "".join(f'<td class="{kind}">{escape(str(text or ""))}' for kind, text in cells)
