"""Every course that an order can take, against a model of the money."""

from decimal import Decimal
from itertools import pairwise, product

from hypothesis import given, settings
from hypothesis import strategies as st

from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap_tests.order_model import Version, derive_orders, expected, order_warehouse, put_orders

STAGES = ("none", "prepaid", "paid", "refunded", "partly_refunded", "cancelled")
COURSES = [
    course
    for length in range(1, 6)
    for course in product(STAGES, repeat=length)
    if all(one != other for one, other in pairwise(course))
]
FALLS = {"partly_refunded": Decimal(60)}


def test_every_course_of_five_stages_ends_with_the_right_money() -> None:
    """Net cash and stock are right, no refund stands alone, and none comes before its sale."""
    orders = {
        number: [Version(stage, FALLS.get(stage, Decimal(100))) for stage in course]
        for number, course in enumerate(COURSES, 1)
    }
    assert len(orders) == 4686
    with order_warehouse() as con:
        put_orders(con, orders)
        found = derive_orders(con)
        wrong = {
            course: (found.get(number, {}), expected(orders[number]))
            for number, course in enumerate(COURSES, 1)
            if found.get(number, {}) != expected(orders[number])
        }
        assert wrong == {}
        assert con.execute(sql("checks/every_live_order_is_accounted_for")).fetchone() == (0, 4686)
        assert con.execute("from rejected_transactions").fetchall() == []
        alone = con.execute(
            """
            select order_key from operations group by all
            having count(*) filter (classification = 'refund') > 0
                and not count(*) filter (classification in ('prepayment', 'sale')) > 0
            """
        )
        assert alone.fetchall() == []
        early = con.execute(
            """
            select r.order_key from operations r join operations s using (order_key)
            where r.classification = 'refund' and s.classification in ('prepayment', 'sale')
                and r.occurred_at < s.occurred_at
            """
        )
        assert early.fetchall() == []
    for number, course in enumerate(COURSES, 1):
        parts = found.get(number, {})
        cash = sum((v for part, v in parts.items() if part not in ("cogs", "restock")), Decimal(0))
        stock = sum((v for part, v in parts.items() if part in ("cogs", "restock")), Decimal(0))
        assert cash == cash_in_hand(course), course
        assert stock in (0, -20), course
        assert stock == 0 or cash > 0, course


def cash_in_hand(course: tuple[str, ...]) -> Decimal:
    """What the shop has of an order in the end, by the last stage that moved money."""
    money = [stage for stage in course if stage in ("prepaid", "paid")]
    if not money:
        return Decimal(0)
    at = max(place for place, stage in enumerate(course) if stage in ("prepaid", "paid"))
    after = course[at + 1 :]
    returns = [stage for stage in after if stage in ("refunded", "partly_refunded")]
    prepaid_once = "prepaid" in money
    if returns:
        if returns[-1] == "refunded":
            return Decimal(0)
        return Decimal(60) if money[-1] == "paid" else Decimal(30)
    if after and after[-1] == "none":
        return Decimal(0)
    if after and after[-1] == "cancelled":
        return Decimal(30) if prepaid_once else Decimal(0)
    return Decimal(100) if money[-1] == "paid" else Decimal(30)


AMOUNTS = st.decimals("0.01", "99999.99", places=2)
MAYBE = st.none() | AMOUNTS
VERSIONS = st.lists(st.builds(Version, st.sampled_from(STAGES), AMOUNTS, MAYBE, MAYBE), min_size=1, max_size=7)


@settings(max_examples=8)
@given(st.lists(VERSIONS, min_size=1, max_size=60))
def test_whatever_an_order_says_the_model_says_the_same(orders: list[list[Version]]) -> None:
    with order_warehouse() as con:
        put_orders(con, dict(enumerate(orders, 1)))
        found = derive_orders(con)
        rejected = {
            int(order_id) for (order_id,) in con.execute("select order_key from rejected_transactions").fetchall()
        }
        assert con.execute(sql("checks/every_live_order_is_accounted_for")).fetchone() == (0, len(orders))
    for number, versions in enumerate(orders, 1):
        parts = expected(versions)
        if any(amount < 0 for part, amount in parts.items() if part in ("prepayment", "sale")):
            assert number in rejected, versions
        else:
            assert found.get(number, {}) == parts, versions
