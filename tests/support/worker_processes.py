"""Worker processes' worth of everything, and somebody who rings for them."""

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
from tests.suites.samples import payment, submission
from tests.support.fakes import Ungated

#: Worker processes' worth of breakers.
WORKERS = 4
#: Payment methods that pay.
TOKENS = {ProviderName.STRIPE: "pm_card_visa", ProviderName.PAYPAL: "vault_ok"}
#: Seconds that anything may take on a machine that runs other tests.
PATIENCE = 60.0


@contextmanager
def fleet(settings: Settings, *, gated: bool) -> Iterator[list[attempt.AttemptContext]]:
    """What WORKERS processes work with, each by connections of its own."""
    with ExitStack() as stack:
        found = []
        for _ in range(WORKERS):
            services = container.create_worker_services(settings)
            stack.callback(services.database.client.close)
            for pool in services.attempt_context.executors.values():
                stack.callback(pool.shutdown)
            tools = services.attempt_context
            found.append(tools if gated else replace(tools, admission=Ungated()))
        yield found


def submitted(
    store: PaymentStore, count: int, provider: ProviderName = ProviderName.STRIPE
) -> list[str]:
    """New payments that are due."""
    now = container.clock() - WAKEUP_GRACE
    asked = submission(provider=provider, payment_method=TOKENS[provider])
    new = [payment(number, asked=asked, now=now) for number in range(count)]
    assert len(store.insert_many(new)) == count
    return [one.id for one in new]


def work_off(ids: list[str], workers: list[attempt.AttemptContext]) -> None:
    """Rings for what is due until all are settled, as beat does for its workers."""
    over = threading.Event()

    def work(tools: attempt.AttemptContext) -> None:
        while not over.is_set():
            due = tools.store.find_due_ids(len(ids))
            # Beat gives each message to one worker; here they choose by chance.
            for _ in attempt.run(random.sample(due, min(32, len(due))), tools):
                pass
            over.wait(0.05)

    def all_settled() -> bool:
        for one in working:
            if one.done():
                one.result()  # raises what ended it
        return workers[0].store.find_settled(ids) == set(ids)

    with ThreadPoolExecutor(WORKERS) as threads:
        working = [threads.submit(work, tools) for tools in workers]
        try:
            assert processes.wait_until(all_settled, seconds=PATIENCE)
        finally:
            over.set()
