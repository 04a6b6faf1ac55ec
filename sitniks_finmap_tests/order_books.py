"""Books of a shop whose source is its orders: its lists of statuses, and what its managers do."""

from collections.abc import Callable
from typing import Any

from sitniks_finmap.sandbox import Shop
from sitniks_finmap_tests.books import Books

LISTS = {
    "paid": ["Виконано"],
    "prepaid": ["Передплата"],
    "refunded": ["Повернено"],
    "partly_refunded": ["Частково повернено"],
    "cancelled": ["Відмінено"],
    "stock_account": "Склад",
}
TITLES = ("Передплата", "Частково повернено", "В дорозі")

KeepOrders = Callable[..., Books]


def furnish(shop: Shop) -> None:
    """Adds the statuses and the stock account that LISTS names."""
    shop.add_account("Склад", "UAH")
    for number, title in enumerate(TITLES, 10):
        shop.directories.add("orders/statuses", {"id": number, "title": title})


def move(books: Books, *statuses: str, number: int = 1, **more: Any) -> None:
    """The order goes through these statuses, each seen by a sync of another day."""
    for status in statuses:
        books.order(number, status, **more)
        sync(books)
        books.clock.forward(86400)


def sync(books: Books) -> None:
    """A sync up to today on the books' clock."""
    books.sync(last=books.run.connection.today(books.clock()))
