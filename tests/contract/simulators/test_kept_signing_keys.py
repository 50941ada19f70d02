"""The file with the keys of the simulated PayPal's webhooks."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from simulators.paypal.signing import DEFAULT_WEBHOOK_ID, Signer


def test_a_later_run_has_the_same_root_and_signs_with_the_same_key(
    tmp_path: Path,
) -> None:
    file = tmp_path / "keys.pem"
    first, later = Signer(file), Signer(file)
    assert later.root_pem == first.root_pem
    assert (later.chain_pem, later.path) == (first.chain_pem, first.path)
    body = b'{"id":"WH-1"}'
    signed = first.sign((DEFAULT_WEBHOOK_ID,), "WH-1", body, "http://127.0.0.1")
    sent = {
        "transmission_id": signed["PAYPAL-TRANSMISSION-ID"],
        "transmission_time": signed["PAYPAL-TRANSMISSION-TIME"],
        "transmission_sig": signed["PAYPAL-TRANSMISSION-SIG"],
        "auth_algo": signed["PAYPAL-AUTH-ALGO"],
        "webhook_id": DEFAULT_WEBHOOK_ID,
        "webhook_event": json.loads(body),
    }
    assert later.verify(sent)


def test_the_key_file_is_private_and_replaced_if_damaged(
    tmp_path: Path,
) -> None:
    file = tmp_path / "keys.pem"
    file.write_bytes(b"no keys")
    root = Signer(file).root_pem
    assert Signer(file).root_pem == root
    file.unlink()
    assert Signer(file).root_pem != root
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_every_run_without_a_file_has_its_own_keys() -> None:
    assert Signer().root_pem != Signer().root_pem
