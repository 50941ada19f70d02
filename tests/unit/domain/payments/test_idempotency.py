"""The fingerprints of requests."""

from __future__ import annotations

from hypothesis import given, strategies as st

from domain.payments.idempotency import compute_fingerprint, derive_provider_key

names = st.text(max_size=3)
plain = st.none() | st.booleans() | st.integers() | names
values = plain | st.lists(plain, max_size=2) | st.dictionaries(names, plain, max_size=2)
bodies = st.dictionaries(names, values, max_size=3)


@given(bodies)
def test_the_order_of_fields_does_not_change_the_fingerprint(
    body: dict[str, object],
) -> None:
    turned = dict(reversed(list(body.items())))
    assert compute_fingerprint(turned) == compute_fingerprint(body)


@given(bodies, names)
def test_a_null_field_has_the_fingerprint_of_an_absent_one(
    body: dict[str, object], name: str
) -> None:
    absent = {key: value for key, value in body.items() if key != name}
    assert compute_fingerprint({**absent, name: None}) == compute_fingerprint(absent)


@given(bodies, bodies)
def test_other_bodies_have_other_fingerprints(
    one: dict[str, object], other: dict[str, object]
) -> None:
    assert (compute_fingerprint(one) == compute_fingerprint(other)) == (
        _given(one) == _given(other)
    )


def test_a_provider_key_is_derived_from_operation_and_generation() -> None:
    assert derive_provider_key("op_1", 1) == derive_provider_key("op_1", 1)
    assert len({derive_provider_key(one, n) for one in ("a", "b") for n in (1, 2)}) == 4


def _given(body: dict[str, object]) -> str:
    """The body with exact types: True is not 1."""
    return repr(sorted((k, _sorted(v)) for k, v in body.items() if v is not None))


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return ["object", sorted((k, repr(_sorted(v))) for k, v in value.items())]
    if isinstance(value, list):
        return ["array", *map(_sorted, value)]
    return value
