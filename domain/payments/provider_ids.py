"""The ids of provider objects, as an operator copies them from a dashboard."""

from __future__ import annotations

from collections.abc import Mapping

from domain.errors import InvalidPayment
from domain.payments.operation import Kind
from domain.provider_rules import RULES, ProviderName


def build_refs(provider: ProviderName, kind: Kind, given: str) -> Mapping[str, str]:
    """The refs of an operation whose object has the id ``given``.

    Raises InvalidPayment where the id does not have the form of such an object's.
    """
    object_id = RULES[provider].object_ids[kind]
    if object_id.pattern.fullmatch(given):
        return {object_id.ref: given}
    words = f"a {kind} at {provider} is identified by its {object_id}"
    raise InvalidPayment(words, field="provider_reference")
