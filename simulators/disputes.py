"""The control calls that open a dispute and change its status."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from simulators.calls import Answer, Json, Request, json_object, to_json
from simulators.provider import Page


class DisputeControl(Protocol):
    """A provider's disputes; each provider has its own statuses."""

    def open(self, wanted: Json) -> Json:
        """Open a dispute and return it. Raises ``ValueError`` with the fault."""

    def move(self, id: str, status: object) -> Json:
        """Change a dispute's status and return the dispute.

        ``won`` and ``lost``, from the merchant's view, end it at every provider. Raises
        ``ValueError`` with the fault.
        """


def pages(control: DisputeControl) -> Sequence[Page]:
    """Return ``POST /_disputes`` and ``POST /_disputes/{id}``."""

    def open_one(request: Request) -> Answer:
        return _answer(201, lambda: control.open(json_object(request.body)))

    def move_one(request: Request) -> Answer:
        id = request.ids["id"]
        return _answer(
            200, lambda: control.move(id, json_object(request.body).get("status"))
        )

    return [
        Page("POST", "/_disputes", open_one),
        Page("POST", "/_disputes/{id}", move_one),
    ]


def reversals(reverse: Callable[[Json], Json]) -> Page:
    """Return ``POST /_reversals``, for a provider that reverses without a dispute."""

    def reverse_one(request: Request) -> Answer:
        return _answer(201, lambda: reverse(json_object(request.body)))

    return Page("POST", "/_reversals", reverse_one)


def _answer(status: int, act: Callable[[], Json]) -> Answer:
    try:
        return Answer(status, to_json(act()))
    except ValueError as bad:
        return Answer(400, to_json({"error": str(bad)}))
