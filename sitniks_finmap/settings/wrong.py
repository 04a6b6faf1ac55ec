"""What is wrong with a setting of connections.toml, and how to write it: sentences without the value."""

from typing import Any

# How to write what is no single text: the right side of the setting, or the heading of its table.
LISTS = {
    "comment_fields": '["description", "order_number"]',
    "alerts": '["env:NAME"]',
    "source": '["Rozetka"]',
    "description": '["оренда"]',
}
TABLES = {
    "orders": 'and in it paid = ["…"], the statuses of paid orders',
    "accounts": 'and in it a line "settlement account" = "Finmap account" for each',
    "channels": 'and in it a line "sales channel" = "Finmap account" for each',
    "categories": 'and in it a line refund = "Finmap category" for each classification',
}
TEXTS = {"finmap_account": "Каса", "stock_account": "Склад", "timezone": "Europe/Kyiv", "heartbeat_url": "env:NAME"}
NUMBERS = {"max_change_share": "0.2", "sitniks_requests_per_second": "1", "finmap_requests_per_second": "2"}
PATTERNS = {
    "sitniks_key_env": "write the name of an environment variable in capitals, such as SITNIKS_API_KEY",
    "finmap_key_env": "write the name of an environment variable in capitals, such as FINMAP_API_KEY",
}


def explain_settings(connection: str, errors: list[Any]) -> str:
    """One sentence for each wrong setting; entries of one list that are wrong alike are told once.

    `errors` are those of a ValidationError of pydantic.
    """
    told: dict[tuple[Any, str], str] = {}
    for error in errors:
        place, said = error["loc"], _explain(connection, error)
        whole = place[:-1] if place and isinstance(place[-1], int) else place
        told.setdefault((whole, said.partition(": ")[2] or said), said)
    return "; ".join(told.values())


def _explain(connection: str, error: Any) -> str:
    """Names a setting and says what is wrong with it, without its value, which might be a misplaced key."""
    place = [part for part in error["loc"] if part != "[key]"]
    field = ".".join(map(str, place))
    if not field:  # about the whole table: the message names the conflicting settings
        return error["msg"].removeprefix("Value error, ")
    if field == "name":
        return 'the table\'s name must match [a-z0-9_]+, as in "sitniks_user_1"'
    if error["type"] == "extra_forbidden":
        return f"{field} is not a setting (see docs/configuration.md)"
    names = [part for part in place if isinstance(part, str)]
    if error["type"] == "missing":
        shown = f' in the table [{connection}.orders]: write {names[-1]} = ["…"]' if field == "orders.paid" else ""
        return f"{field} is missing{shown}"
    return f"{field}: {_remedy(connection, names, error, in_list=isinstance(place[-1], int))}"


def _remedy(connection: str, names: list[str], error: Any, *, in_list: bool) -> str:
    context, name = error.get("ctx", {}), names[-1]
    example = LISTS.get(name, '["…", "…"]')
    match error["type"]:
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case "list_type" if name == "rules":
            return f"write each rule as a table [[{connection}.rules]] with a classification"
        case "list_type":
            return f"write a list in square brackets: {name} = {example}"
        case "dict_type" | "model_type" | "model_attributes_type" if names[0] in TABLES:
            return f"write a table [{connection}.{names[0]}] {TABLES[names[0]]}"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"write each rule as a table [[{connection}.rules]] with a classification"
        case "string_type" if in_list:
            return f"write each entry in quotes: {name} = {example}"
        case "string_type":
            shown = name if name.replace("_", "").isalnum() and name.isascii() else f'"{name}"'
            return f'write it in quotes: {shown} = "{TEXTS.get(name, "…")}"'
        case "bool_type" | "bool_parsing":
            return f"write true or false without quotes: {name} = true"
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return f"write a whole number without quotes: {name} = 7"
        case "float_type" | "float_parsing" | "finite_number":
            return f"write a number without quotes: {name} = {NUMBERS.get(name, '1')}"
        case "literal_error":
            return "write " + context.get("expected", "").replace("'", '"')
        case "greater_than_equal":
            return f"write a number that is at least {context['ge']:g}"
        case "less_than_equal":
            return f"write a number that is at most {context['le']:g}"
        case "string_too_short":
            return "must not be empty"
        case "too_short":
            return f'name at least one: {name} = ["…"]'
        case "string_pattern_mismatch":
            return PATTERNS.get(name, "write lower-case Latin letters, digits and _ only")
        case _:
            return "is not written as it should be (see docs/configuration.md)"
