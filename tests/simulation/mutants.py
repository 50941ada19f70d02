"""Mutants of the product: the simulation proves only faults that it detects.

``mutant_runs`` applies each to a copy of the packages. The simulation must fail on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Mutant:
    """``before`` occurs once in ``file`` and is replaced by ``after``.

    ``test`` must fail on it if histories reach the fault too rarely or never. The
    provider's model with its stored keys may hide the fault from them. Only
    `make simulate` runs a ``slow`` one, which takes thousands of histories.
    """

    name: str
    file: str
    before: str
    after: str
    test: str | None = None
    slow: bool = False


MUTANTS: Final = (
    Mutant(
        "claims and settles without a fence",
        "tests/support/memory_store.py",
        "                if row is None or row.payment.version != payment.version:\n"
        "                    continue",
        "                if row is None:\n                    continue",
    ),
    Mutant(
        "requests appended without a fence",
        "tests/support/memory_store.py",
        "            if row is None or row.payment.version != payment.version:\n"
        "                return None",
        "            if row is None:\n                return None",
    ),
    Mutant(
        "an answer settled after the lease was lost",
        "tests/support/memory_store.py",
        "if one.claim and one.claim.fence == fences[one.id]]",
        "if one.claim]",
        slow=True,
    ),
    Mutant(
        "a call made without a recorded send",
        "application/attempt.py",
        "    won = context.store.claim_many(claims)\n",
        "    won = claims\n",
    ),
    Mutant(
        "the payer's approval sent under the first key",
        "domain/payments/apply_answer.py",
        "            generation=operation.generation + 1,\n",
        "",
    ),
    Mutant(
        "a call made long after its claim",
        "application/attempt.py",
        "    if claim is None or context.clock() > claim.at + _MAX_CLAIM_AGE:",
        "    if claim is None:",
        slow=True,
    ),
    Mutant(
        "an idempotency key not looked up",
        "application/accept.py",
        "        if found.find_by_key(origin.idempotency_key) is not None:",
        "        if False:",
    ),
    Mutant(
        "a key's second request not compared with its first",
        "application/accept.py",
        "    if made is None or earlier is None or earlier.fingerprint"
        " != origin.fingerprint:",
        "    if made is None:",
    ),
    Mutant(
        "a payment that recovery does not find",
        "application/accept.py",
        "        due_at=max(now + WAKEUP_GRACE, starts_at),",
        "        due_at=None,",
    ),
    Mutant(
        "a new key for a resend of an unknown",
        "domain/payments/start_attempt.py",
        "        send = replace(send, last_at=now)",
        '        send = replace(send, last_at=now, key=f"{send.key}-{attempt}")',
    ),
    Mutant(
        "a new key for every retry",
        "domain/payments/start_attempt.py",
        "            key=operation.provider_key,",
        '            key=f"{operation.provider_key}-{attempt}",',
    ),
    Mutant(
        "another body for the same key",
        "domain/payments/start_attempt.py",
        "        send = replace(send, last_at=now)",
        '        send = replace(send, last_at=now, body=send.body + " ")',
    ),
    Mutant(
        "a resend after the window",
        "domain/payments/operation.py",
        "        return now >= self.send.window_ends_at",
        "        return False",
        slow=True,
    ),
    Mutant(
        "absence believed at once",
        "domain/payments/operation.py",
        "ABSENCE_PROOF_DELAY: Final = timedelta(minutes=10)",
        "ABSENCE_PROOF_DELAY: Final = timedelta(0)",
    ),
    Mutant(
        "absence by the time of the record",
        "domain/payments/apply_lookup.py",
        "    if send is None or asked_at >= send.last_at + ABSENCE_PROOF_DELAY:",
        "    if send is None or now >= send.last_at + ABSENCE_PROOF_DELAY:",
        test="tests/unit/domain/payments/test_forgotten_objects.py",
    ),
    Mutant(
        "a dead worker's send taken for not sent",
        "domain/payments/states.py",
        "    (State.RUNNING, Trigger.LEASE_EXPIRED): State.UNKNOWN,",
        "    (State.RUNNING, Trigger.LEASE_EXPIRED): State.RETRYING,",
        slow=True,
    ),
    Mutant(
        "a lost answer taken for not executed",
        "domain/payments/settle.py",
        "        if isinstance(error, NotExecuted)\n",
        "        if isinstance(error, ProviderError)\n",
    ),
    Mutant(
        "an unattributed refusal believed while unknown",
        "domain/payments/settle.py",
        "    if not answer.refs or answer.verdict is Verdict.REJECTED:\n"
        "        return False\n",
        "    return True\n",
        test="tests/unit/domain/payments/test_forgotten_objects.py",
    ),
    Mutant(
        "a bare expired or canceled believed while unknown",
        "domain/payments/settle.py",
        "    if not answer.refs or answer.verdict is Verdict.REJECTED:\n"
        "        return False\n",
        "    if answer.verdict in (Verdict.EXPIRED, Verdict.CANCELED):\n"
        "        return True\n"
        "    if not answer.refs or answer.verdict is Verdict.REJECTED:\n"
        "        return False\n",
        test="tests/unit/domain/payments/test_forgotten_objects.py",
    ),
    Mutant(
        "an amount other than the requested one believed",
        "domain/payments/apply_answer.py",
        "    return answer.moved != (requested if moves else None)",
        "    return False",
        slow=True,
    ),
    Mutant(
        "absence believed while a send may be on its way",
        "domain/payments/operation.py",
        "ABSENCE_PROOF_DELAY: Final = timedelta(minutes=10)",
        "ABSENCE_PROOF_DELAY: Final = timedelta(minutes=4)",
        test="tests/simulation/test_margins.py",
    ),
    Mutant(
        "a call made nine minutes after its claim",
        "application/attempt.py",
        "_MAX_CLAIM_AGE: Final = timedelta(minutes=1)",
        "_MAX_CLAIM_AGE: Final = timedelta(minutes=9)",
        test="tests/simulation/test_margins.py",
    ),
    Mutant(
        "an unknown failed by a timer",
        "domain/payments/apply_lookup.py",
        "        return _give_up_lookup(\n"
        "            payment, operation, ReviewReason.NOTHING_FOUND, outcome, now\n"
        "        )",
        "        no = Answer(Verdict.DECLINED)\n"
        "        event = EventType.LOOKUP_ANSWERED\n"
        "        return apply_answer(payment, operation, no, event, now=now)",
        test="tests/unit/domain/payments/test_apply_lookup.py",
    ),
    Mutant(
        "a refusal of one order believed while another may be paid",
        "domain/payments/apply_answer.py",
        "    return operation.may_have_duplicate_order and answer.verdict in"
        " _NEGATIVE_VERDICTS",
        "    return False",
        test="tests/unit/domain/payments/test_duplicate_orders.py",
    ),
    Mutant(
        "a refusal of a first send believed during a second",
        "domain/payments/apply_answer.py",
        "    return send is not None and send.is_resend and answer.verdict in"
        " _NEGATIVE_VERDICTS",
        "    return False",
        test="tests/unit/domain/payments/test_resend.py",
    ),
    Mutant(
        "captures that reserve nothing",
        "domain/payments/payment.py",
        "self.authorized - self.captured - self.capture_reserved)",
        "self.authorized - self.captured)",
    ),
    Mutant(
        "refunds that reserve nothing",
        "domain/payments/payment.py",
        "sum(one.moved or one.reserved_amount for one in refunds)",
        "sum(one.moved for one in refunds)",
    ),
    Mutant(
        "a rest left on hold though the card allows one capture",
        "domain/payments/follow_ups.py",
        "    releases = wants_release or not payment.may_capture_in_parts",
        "    releases = wants_release",
    ),
    Mutant(
        "a reservation released while unknown",
        "domain/payments/operation.py",
        "        return 0 if self.is_terminal else self.amount",
        "        return self.amount if self.state is State.QUEUED else 0",
    ),
    Mutant(
        "a reference that blocks nothing",
        "domain/payments/payment.py",
        "        return is_held or is_collecting or is_paid",
        "        return False",
    ),
    Mutant(
        "an event that is not written",
        "domain/payments/payment.py",
        "            pending_events=(*self.pending_events, Event(seq, event,"
        " now, event_data)),",
        "            pending_events=(Event(seq, event, now, event_data),),",
    ),
    Mutant(
        "a webhook believed",
        "domain/webhooks.py",
        "    after = (\n"
        "        operation\n"
        "        if _is_lookup_due(operation, now)\n"
        "        else operation.with_lookup_due(now=now)\n"
        "    )\n",
        '    done = {"state": State.SUCCEEDED, "moved": operation.amount}\n'
        "    after = replace(operation, **done)\n",
    ),
    Mutant(
        "a lookup before a send that drops the send",
        "domain/payments/apply_lookup.py",
        "    after = replace(operation, due_at=now, lookups_since=None,"
        " lookup_count=0)",
        "    after = replace(operation, due_at=None, lookups_since=None,"
        " lookup_count=0)",
    ),
    Mutant(
        "a lost answer rerouted to another account",
        "domain/payments/routing.py",
        "    if isinstance(outcome, (NotSent, Misconfigured)):",
        "    if isinstance(outcome, ProviderError):",
    ),
    Mutant(
        "an unknown operation rerouted to another account",
        "domain/payments/routing.py",
        "    is_running = operation.state is State.RUNNING\n",
        "    operation, is_running = replace(operation, state=State.RUNNING), True\n",
    ),
    Mutant(
        "external movements ignored",
        "domain/payments/external_changes.py",
        "        payment = _with_movement(before, payment, one, now)",
        "        assert now",
    ),
    Mutant(
        "an external refund believed beyond the captured amount",
        "domain/payments/external_changes.py",
        "        if target is None or payment.unrefunded_amount(target) < amount:",
        "        if target is None:",
        test="tests/unit/domain/payments/test_external_changes.py",
    ),
    Mutant(
        "a refund believed beyond the captured amount",
        "domain/payments/apply_answer.py",
        "    return others and operation.amount > left",
        "    return False",
        test="tests/unit/domain/payments/test_external_changes.py",
    ),
    Mutant(
        "an external capture counted again by each lookup",
        "domain/payments/external_changes.py",
        "    amount = found.money.minor - sum(one.amount for one in known)",
        "    amount = found.money.minor",
        slow=True,
    ),
    Mutant(
        "a review replayed with a new key",
        "domain/payments/operator_actions.py",
        "    again = replace(\n" "        operation, due_at=now, ",
        "    new = replace(operation, generation=operation.generation + 1, send=None)\n"
        "    again = replace(new, due_at=now, ",
    ),
)
