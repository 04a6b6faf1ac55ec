"""Bodies and query parameters of calls to Finmap: whatever its contract does not allow is refused with 400."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .exchange import Refused, parse_json
from .request import Request

Model = TypeVar("Model", bound=BaseModel)


def read_parameters(request: Request, *known: str) -> dict[str, str]:
    parameters = request.parameters()
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise Refused(400, [f"property {name} should not exist" for name in unknown])
    return parameters


def read_body(request: Request, model: type[BaseModel]) -> dict[str, Any]:
    """The fields that were sent; numbers are Decimal."""
    return read_model(request, model).model_dump(exclude_unset=True)


def read_model(request: Request, model: type[Model]) -> Model:
    """The body as a model. Without this Content-Type, the real framework sees no body and uses all defaults."""
    if not request.headers.get(b"content-type", b"").lower().startswith(b"application/json"):
        raise Refused(400, ["Content-Type must be application/json"])
    try:
        fields = parse_json(request.body)
    except ValueError as error:
        raise Refused(400, [f"the body is not JSON: {error}"]) from None
    if not isinstance(fields, dict):
        raise Refused(400, ["the body must be an object"])
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise Refused(400, [_explain(one) for one in error.errors(include_input=False)]) from None


def _explain(error: Any) -> str:
    field = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"property {field} should not exist"
    return f"{field}: {error['msg'].removeprefix('Value error, ')}"
