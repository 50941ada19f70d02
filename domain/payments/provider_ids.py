"""The ids that providers give their objects, as a person reads them in a dashboard."""

from __future__ import annotations

from collections.abc import Mapping

from domain.errors import InvalidPayment
from domain.payments.operation import Kind
from domain.provider_rules import RULES, ProviderName


def build_refs(provider: ProviderName, kind: Kind, given: str) -> Mapping[str, str]:
    """The refs of an operation whose object has the id ``given``.

    Raises InvalidPayment where that is no id of such an object.
    """
    known_by = RULES[provider].object_ids[kind]
    if known_by.pattern.fullmatch(given):
        return {known_by.ref: given}
    words = f"a {kind} at {provider} is known by its {known_by}"
    raise InvalidPayment(words, field="provider_reference")
