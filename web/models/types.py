"""The types of request fields: bounded texts, numbers and times."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from domain.money import CURRENCIES
from domain.provider_rules import ProviderName
from web.models import patterns
from web.problem_codes import FieldErrorCode

#: Minor units: the largest integer that every JSON reader keeps exactly (RFC 8259,
#: section 6). The largest amount of a provider depends on the currency.
MAX_AMOUNT: Final = 2**53 - 1
#: Stripe's limits of metadata, so that Stripe accepts all of it.
_MAX_PAIRS: Final = 50
_MAX_NAME: Final = 40
_MAX_VALUE: Final = 500

_TIME: Final = re.compile(patterns.TIME)
_WHOLE: Final = re.compile(r"^[0-9]{1,16}$", re.ASCII)


def _time(value: object) -> datetime:
    """Parses an RFC 3339 time with an offset, and returns it in UTC."""
    try:
        if isinstance(value, str) and _TIME.match(value):
            return datetime.fromisoformat(value.upper()).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        pass  # a thirteenth month, or a year outside of UTC's range
    raise PydanticCustomError(
        FieldErrorCode.FORM.value,
        "{words}",
        {"words": patterns.PATTERN_MESSAGES[patterns.TIME]},
    )


def _whole(value: object) -> int:
    """Parses a whole number of a query."""
    if isinstance(value, str) and _WHOLE.match(value):
        return int(value)
    raise PydanticCustomError(
        FieldErrorCode.WHOLE_NUMBER.value, "must be a whole number"
    )


def _flag(value: object) -> bool:
    """Parses ``true`` or ``false`` of a query."""
    if value in ("true", "false"):
        return value == "true"
    raise PydanticCustomError(FieldErrorCode.FLAG.value, "must be true or false")


def list_currencies(schema: dict[str, Any]) -> None:
    """Adds all currencies to the documentation of a field."""
    schema["enum"] = sorted(CURRENCIES)


Time = Annotated[
    datetime,
    BeforeValidator(_time),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": patterns.TIME}),
]
Whole = Annotated[int, BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Text = Annotated[str, Field(pattern=patterns.TEXT)]
Name = Annotated[Text, Field(min_length=1, max_length=_MAX_NAME)]
#: The reason of an operator's action.
Reason = Annotated[Text, Field(min_length=1, max_length=500)]
Value = Annotated[Text, Field(max_length=_MAX_VALUE)]
#: pydantic's own schema would document the names as patterns and allow any other name.
Metadata = Annotated[
    dict[Name, Value],
    Field(max_length=_MAX_PAIRS),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": _MAX_PAIRS,
            "propertyNames": {
                "minLength": 1,
                "maxLength": _MAX_NAME,
                "pattern": patterns.TEXT,
            },
            "additionalProperties": {
                "type": "string",
                "maxLength": _MAX_VALUE,
                "pattern": patterns.TEXT,
            },
        }
    ),
]
if TYPE_CHECKING:
    Provider = str
else:  # Type checkers reject a Literal of values known only at run time.
    Provider = Literal[tuple(one.value for one in ProviderName)]
Calls = Literal["charges", "captures", "voids", "refunds", "reads", "disputes"]
Amount = Annotated[int, Field(ge=1, le=MAX_AMOUNT)]


class StrictModel(BaseModel):
    """A body model: values are not converted, unknown fields are refused, and errors
    do not repeat the input.
    """

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )


class Query(BaseModel):
    """A query model: texts are converted, and unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
