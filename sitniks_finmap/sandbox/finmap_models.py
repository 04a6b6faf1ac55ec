"""The bodies that Finmap's contract allows, written by hand from its OpenAPI document; unknown fields are refused.

Stricter than the document where the vendor's developers say so, or the real service would silently do the wrong
thing: no null and, on creation, no empty string, at most two decimals in an amount, an account on every creation.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

FIRST_MOMENT = 1420070400000  # 2015-01-01, the contract's minimum for every date
LAST_MOMENT = 2091365243872
LARGEST = Decimal(10) ** 13  # ours: kopiykas stay within SQLite's integers

ABSENT: Any = None  # an optional field that may not be null


def _number(value: Any) -> Decimal:
    """A JSON number as `parse_json` reads it, and nothing else that Python would accept as one."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("must be a number")
    return Decimal(value)


Number = Annotated[Decimal, BeforeValidator(_number)]
Positive = Annotated[Number, Field(ge=0)]
Amount = Annotated[Number, Field(ge=0, le=LARGEST, decimal_places=2)]
Moment = Annotated[Number, Field(ge=FIRST_MOMENT, le=LAST_MOMENT)]
Text = Annotated[str, Field(min_length=1)]
SortField = Literal["date", "dateOfPayment", "startOfDay", ""]
OperationType = Literal["income", "expense", "transfer"]
Selected = Literal[
    "operationId", "date", "sum", "type", "exchangeRate", "categoryName", "accountFromName", "accountName",
    "approved", "comment", "counterpartyName", "currencyId", "dateOfPayment", "companyCurrencySum",
    "transactionSum", "transactionCurrency", "transactionCurrencyRate", "accountBalanceAfterOperation",
]  # fmt: skip


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Share(Body):
    """ProjectInOperationDto and CategoryInOperationDto: a part of an operation."""

    id: Text
    stake: Number = ABSENT
    companyCurrencySum: Number = ABSENT
    sum: Number = ABSENT
    transactionSum: Number = ABSENT


class Operation(Body):
    """Fields of operations of every type, on creation and update."""

    date: Moment = ABSENT
    amount: Amount = ABSENT
    comment: Text = ABSENT
    projectId: Text = ABSENT
    projects: list[Share] = ABSENT
    categories: list[Share] = ABSENT
    tagIds: list[Text] = ABSENT


class Flow(Operation):
    """Fields shared by income and expense."""

    amountInCompanyCurrency: Positive = ABSENT
    exchangeRate: Positive = ABSENT
    transactionSum: Positive = ABSENT
    transactionCurrency: Number = ABSENT  # the document says number, though its example is "USD"
    transactionCurrencyRate: Positive = ABSENT
    dateOfPayment: Moment = ABSENT
    startDate: Moment = ABSENT
    endDate: Moment = ABSENT
    categoryId: Text = ABSENT
    counterpartyId: Text = ABSENT
    borrowerId: Text = ABSENT
    creditorId: Text = ABSENT


class FlowUpdate(Flow):
    """An update may empty fields that a creation may only omit."""

    comment: str = ABSENT
    categoryId: str = ABSENT
    counterpartyId: str = ABSENT
    projectId: str = ABSENT


class IncomeUpdate(FlowUpdate):
    accountToId: Text = ABSENT
    customerId: Text = ABSENT
    investorId: Text = ABSENT
    externalDevComment: Text = ABSENT


class Income(Flow):
    accountToId: Text
    customerId: Text = ABSENT
    investorId: Text = ABSENT
    externalId: Text = ABSENT


class ExpenseUpdate(FlowUpdate):
    accountFromId: Text = ABSENT
    employeeId: Text = ABSENT
    supplierId: Text = ABSENT
    ownerId: Text = ABSENT
    taxOrganisationId: Text = ABSENT
    externalDevComment: Text = ABSENT


class Expense(Flow):
    accountFromId: Text
    employeeId: Text = ABSENT
    supplierId: Text = ABSENT
    ownerId: Text = ABSENT
    taxOrganisationId: Text = ABSENT
    externalId: Text = ABSENT


class TransferUpdate(Operation):
    accountToId: Text
    accountFromId: Text
    amountTo: Amount = ABSENT
    externalDevComment: Text = ABSENT


class Transfer(Operation):
    accountToId: Text
    accountFromId: Text
    amountTo: Amount = ABSENT
    externalId: Text = ABSENT


class OperationFilter(Body):
    """FilterLogDto, the body of POST /operations/list."""

    operationIds: list[Text] = ABSENT
    ids: list[Text] = ABSENT
    projectIds: list[Text] = ABSENT
    tagIds: list[Text] = ABSENT
    counterpartyIds: list[Text] = ABSENT
    categoryIds: list[Text] = ABSENT
    accountIds: list[Text] = ABSENT
    types: list[OperationType] = ABSENT
    search: Text = ABSENT
    limit: Annotated[Number, Field(ge=1, le=100, multiple_of=1)] = Decimal(100)
    offset: Annotated[Number, Field(ge=0, le=LARGEST, multiple_of=1)] = Decimal(0)
    approved: bool = ABSENT
    startDate: Number = ABSENT
    endDate: Number = ABSENT
    useDateOfPayment: bool = ABSENT
    sumFrom: Number = ABSENT
    sumTo: Number = ABSENT
    field: SortField = ABSENT
    desc: bool = True
    field1: SortField = ABSENT
    desc1: bool = ABSENT
    field2: SortField = ABSENT
    desc2: bool = ABSENT
    field3: SortField = ABSENT
    desc3: bool = ABSENT
    calculateAccountState: bool = ABSENT
    select: list[Selected] = ABSENT


class Label(Body):
    """TagDto, ProjectDto and SupplierDto."""

    label: Text


class Category(Body):
    """CategoryDto: all three are required, two may be empty."""

    label: Text
    vendorEditLockUrl: str
    parentId: str


CREATE: dict[str, type[Operation]] = {"income": Income, "expense": Expense, "transfer": Transfer}
UPDATE: dict[str, type[Operation]] = {
    "income": IncomeUpdate,
    "expense": ExpenseUpdate,
    "transfer": TransferUpdate,
}
