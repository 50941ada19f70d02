"""What the API's requests are made of: bounded texts, numbers and times."""

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

#: Minor units: the largest integer that every reader of JSON keeps to the digit (RFC
#: 8259, section 6). What a provider takes at most depends on it and on the currency.
MAX_AMOUNT: Final = 2**53 - 1
#: Stripe's limits of metadata, so that it can be passed on whole.
_MAX_PAIRS: Final = 50
_MAX_NAME: Final = 40
_MAX_VALUE: Final = 500

_TIME: Final = re.compile(patterns.TIME)
_WHOLE: Final = re.compile(r"^[0-9]{1,16}$", re.ASCII)


def _time(value: object) -> datetime:
    """RFC 3339 with an offset, as UTC."""
    try:
        if isinstance(value, str) and _TIME.match(value):
            return datetime.fromisoformat(value.upper()).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        pass  # a thirteenth month, or a year that UTC does not have
    raise PydanticCustomError(
        FieldErrorCode.FORM.value,
        "{words}",
        {"words": patterns.PATTERN_MESSAGES[patterns.TIME]},
    )


def _whole(value: object) -> int:
    """A whole number as a query writes it."""
    if isinstance(value, str) and _WHOLE.match(value):
        return int(value)
    raise PydanticCustomError(
        FieldErrorCode.WHOLE_NUMBER.value, "must be a whole number"
    )


def _flag(value: object) -> bool:
    """``true`` or ``false``, as a query writes it."""
    if value in ("true", "false"):
        return value == "true"
    raise PydanticCustomError(FieldErrorCode.FLAG.value, "must be true or false")


def list_currencies(schema: dict[str, Any]) -> None:
    """Names them one by one in the documentation."""
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
#: Why an operator acts.
Reason = Annotated[Text, Field(min_length=1, max_length=500)]
Value = Annotated[Text, Field(max_length=_MAX_VALUE)]
#: pydantic would document the names as patterns, and let every other name pass.
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
else:  # A type checker takes no names that are known at run time alone.
    Provider = Literal[tuple(one.value for one in ProviderName)]
Calls = Literal["charges", "captures", "voids", "refunds", "reads", "disputes"]
Amount = Annotated[int, Field(ge=1, le=MAX_AMOUNT)]


class StrictModel(BaseModel):
    """Nothing is converted, nothing unknown is taken, nothing given is repeated."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )


class Query(BaseModel):
    """A query: texts are converted, nothing unknown is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
