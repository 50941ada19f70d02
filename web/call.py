"""The state of the request that the current thread answers."""

from __future__ import annotations

import secrets
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from runtime.quotas import Usage
from web.problem_codes import ProblemCode


@dataclass(slots=True)
class Call:
    """One request, from its first line to its answer."""

    request_id: str
    began: float  #: by ``time.perf_counter``
    address: str | None = None  #: the request counts for it while it has no valid key
    sender: str | None = None  #: the address of a webhook
    usages: list[Usage] = field(default_factory=list)  #: of the quotas that it met
    problem: ProblemCode | None = None  #: the problem that answers it


def new_request_id() -> str:
    """Returns an id like ``req_5f0c…``, at random."""
    return f"req_{secrets.token_hex(13)}"


#: ``web.middleware`` sets it for each request.
CURRENT: Final = ContextVar[Call]("call")
