"""Contexts of several workers, and a loop that dispatches to them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from application import attempt
from application.ports.payments import PaymentStore
from domain.payments.payment import WAKEUP_GRACE
from domain.payments.submission import ProviderName
from runtime import container, processes
from runtime.settings import Settings
from tests.suites.samples import insert_all, payment, submission
from tests.support.fakes import AdmitAll

#: The number of workers.
WORKERS = 4
#: Payment methods that succeed.
TOKENS = {ProviderName.STRIPE: "pm_card_visa", ProviderName.PAYPAL: "vault_ok"}
#: Seconds for any wait on a machine that runs other tests.
PATIENCE = 60.0


@contextmanager
def fleet(
    settings: Settings, *, with_admission: bool
) -> Iterator[list[attempt.AttemptContext]]:
    """The contexts of WORKERS workers, each with its own connections."""
    with ExitStack() as stack:
        found = []
        for _ in range(WORKERS):
            services = container.create_worker_services(settings)
            stack.callback(services.database.client.close)
            for pool in services.attempt_context.executors.values():
                stack.callback(pool.shutdown)
            context = services.attempt_context
            found.append(
                context if with_admission else replace(context, admission=AdmitAll())
            )
        yield found


def submitted(
    store: PaymentStore, count: int, provider: ProviderName = ProviderName.STRIPE
) -> list[str]:
    """Inserts due payments; returns their ids."""
    now = container.clock() - WAKEUP_GRACE
    asked = submission(provider=provider, payment_method=TOKENS[provider])
    new = [payment(number, submitted=asked, now=now) for number in range(count)]
    assert len(insert_all(store, new)) == count
    return [one.id for one in new]


def work_off(ids: list[str], workers: list[attempt.AttemptContext]) -> None:
    """Works on due payments until all are settled."""
    over = threading.Event()

    def work(context: attempt.AttemptContext) -> None:
        while not over.is_set():
            due = context.store.find_due_ids(len(ids))
            # A message goes to one worker; here workers choose at random.
            for _ in attempt.run(random.sample(due, min(32, len(due))), context):
                pass
            over.wait(0.05)

    def all_settled() -> bool:
        for one in working:
            if one.done():
                one.result()  # raises its error, if any
        return workers[0].store.find_settled(ids) == set(ids)

    with ThreadPoolExecutor(WORKERS) as threads:
        working = [threads.submit(work, context) for context in workers]
        try:
            assert processes.wait_until(all_settled, seconds=PATIENCE)
        finally:
            over.set()
