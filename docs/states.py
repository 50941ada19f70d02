"""Writes docs/states.md from the code: ``python docs/states.py``, by ``make docs``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from inspect import getsource
from pathlib import Path
from typing import Final

from domain.payments import states
from domain.payments.states import State, Status, Trigger

PAGE: Final = Path(__file__).with_name("states.md")

_KINDS: Final = {
    "terminal": (states.TERMINAL, "only a later fact from the provider changes it"),
    "owed": (states.STATES_WITH_WORK, "a worker has work now or when it is due"),
    "waiting": (states.WAITING, "the next step is the provider's or the payer's"),
    "stuck": (states.STUCK, "it waits for an operator"),
}


def render_page() -> str:
    """The whole page, in Markdown."""
    return "\n".join(
        [
            "# States",
            "",
            "Written from `domain/payments/states.py` by `make docs`; a test checks"
            " that it is current.",
            "",
            "## States of an operation",
            "",
            "Charge, authorize, capture, void and refund share one state machine.",
            "",
            *_table(("state", "kind", "meaning"), _states()),
            "",
            *(f"- **{name}**: {words}." for name, (_, words) in _KINDS.items()),
            "",
            "## Transitions",
            "",
            "Any other change raises `IllegalTransition` and changes nothing.",
            "",
            *_table(("from", "trigger", "to"), _moves(states.TRANSITIONS)),
            "",
            "## Corrections",
            "",
            "A later fact from the provider changes a terminal state. It is applied,"
            " recorded on the timeline and logged as an error.",
            "",
            *_table(
                ("from", "the provider now reports", "to"), _moves(states.CORRECTIONS)
            ),
            "",
            "## Triggers",
            "",
            *_table(("trigger", "meaning"), _meanings(Trigger)),
            "",
            "## Status of a payment",
            "",
            "The status follows from the operations and the hold. Nothing sets it"
            " directly.",
            "",
            *_table(("status", "meaning"), _meanings(Status)),
            "",
        ]
    )


def _states() -> Iterable[tuple[str, ...]]:
    for name, meaning in _meanings(State):
        state = State(name.strip("`"))
        kind = next(word for word, (of, _) in _KINDS.items() if state in of)
        yield name, kind, meaning


def _moves(table: Mapping[tuple[State, Trigger], State]) -> Iterable[tuple[str, ...]]:
    for (state, trigger), after in table.items():
        yield f"`{state}`", trigger.replace("_", " "), f"`{after}`"


def _meanings(of: type[StrEnum]) -> Iterable[tuple[str, str]]:
    """Each member with its ``#:`` comment."""
    said = dict(re.findall(r'= "(\w+)"  #: (.+)', getsource(of)))
    for member in of:
        yield f"`{member}`", said[member.value].replace("``", "`")


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [names, tuple("---" for _ in names), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


if __name__ == "__main__":
    PAGE.write_text(render_page())
