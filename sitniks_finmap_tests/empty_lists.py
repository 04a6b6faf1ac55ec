"""Lists that show nothing of what there is."""

from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.books import Books

NO_OPERATIONS = '{"list": [], "total": 0}'
NO_TRANSACTIONS = '{"data": [], "count": 0}'


def show_no_operations(books: Books, times: int | None = None) -> None:
    """Finmap shows nothing that it has: an empty list, and 404 for every key."""
    books.sandbox.fault(Fault("status", "finmap", path="/operations/list", status=200, body=NO_OPERATIONS, times=times))
    books.sandbox.fault(Fault("status", "finmap", path="/operations/details", status=404, times=times))


def show_no_transactions(books: Books, times: int | None = None) -> None:
    """Sitniks answers that it has no transactions."""
    body = NO_TRANSACTIONS
    books.sandbox.fault(Fault("status", "sitniks", path="/transactions", status=200, body=body, times=times))
