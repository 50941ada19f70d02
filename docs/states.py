"""Writes docs/states.md from the code: ``python docs/states.py``, by ``make docs``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from inspect import getsource
from pathlib import Path
from typing import Final

from domain import states
from domain.states import State, Status, Trigger

PAGE: Final = Path(__file__).with_name("states.md")

_KINDS: Final = {
    "final": (states.FINAL, "nothing of ours moves it any more"),
    "owed": (states.OWED, "a worker has something to do now or when it is due"),
    "waiting": (states.WAITING, "the provider or the payer moves next"),
    "stuck": (states.STUCK, "nothing moves until a person does"),
}


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join(
        [
            "# States",
            "",
            "Written from `domain/states.py` by `make docs`; a test sees that it is"
            " current.",
            "",
            "## Of an operation",
            "",
            "Charge, authorize, capture, void and refund share one machine.",
            "",
            *_table(("state", "kind", "meaning"), _states()),
            "",
            *(f"- **{name}**: {words}." for name, (_, words) in _KINDS.items()),
            "",
            "## Transitions",
            "",
            "What is not here raises `IllegalTransition` and changes nothing.",
            "",
            *_table(("from", "what happened", "to"), _moves(states.TRANSITIONS)),
            "",
            "## Corrections",
            "",
            "A later fact from the provider on a final state: applied, told on the"
            " timeline, logged as an error.",
            "",
            *_table(
                ("from", "the provider now says", "to"), _moves(states.CORRECTIONS)
            ),
            "",
            "## What happened",
            "",
            *_table(("trigger", "meaning"), _meanings(Trigger)),
            "",
            "## Of a payment",
            "",
            "Derived from its operations and its hold, never stored by itself.",
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
    PAGE.write_text(page())
