"""What a sync does and reports does not depend on how DuckDB runs its queries."""

from collections.abc import Callable

from sitniks_finmap.pipeline.reconcile import reconcile
from sitniks_finmap_tests.books import Books, days_ago, stamp
from sitniks_finmap_tests.plain_settings import PLAIN

RESULTS = ["plan", "differences", "reconciliation"]


def every_action(books: Books) -> None:
    books.sell_many(6)
    books.sync()
    books.throw_out_and_be_believed(4)
    books.sell(1, "110.00")
    books.sell(2, "-100.00")
    books.unsell(3)
    books.edit(5, amount="77.00")
    books.sell(5, "120.00")
    books.sell(6, "сто")
    books.sell(7)
    books.sell(8, date=stamp(days_ago(0, hour=18)))
    books.read()
    books.look()


def test_plan_and_reports_do_not_depend_on_the_optimizer(keep_books: Callable[..., Books]) -> None:
    books = keep_books(on_change="ask")
    every_action(books)
    found = []
    for disabled in (PLAIN["disabled_optimizers"], ""):
        with books.warehouse.transaction() as con:
            con.execute(f"set disabled_optimizers = '{disabled}'")
            reconcile(con)
            found.append({result: con.execute(f"from {result} order by all").fetchall() for result in RESULTS})
    plain, optimized = found
    assert plain == optimized
    assert {action for _, action, _ in books.plan()} == {"create", "update", "replace", "withdraw", "recreate"}
    assert all(plain.values())
