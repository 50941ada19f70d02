"""The HTTP API as the command line uses it: patient, and never twice for one key."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import requests

from runtime.stack import demo_key
from runtime.settings import Settings
from runtime.stack.state import StackError, read_state

#: Seconds to connect, and to read: above the 30 that a `?wait=` may hold a request.
TIMEOUT: Final = (3.05, 40)
#: Seconds the service may be out of reach or busy before a request gives up.
PATIENCE: Final = 60.0
#: Seconds between two tries where the answer names none; and the most it may ask for.
PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 10.0
#: Seconds the service holds one question for a payment's end.
HOLD: Final = 20


class Api:
    """The API at ``base``, for the owner of ``key``. Safe to use from threads."""

    def __init__(self, base: str, key: str, *, connections: int = 8) -> None:
        self._base = base.rstrip("/")
        self._session = requests.Session()
        # A proxy or a .netrc of this machine is not meant for this.
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {key}"
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=connections)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def submit(self, body: Mapping[str, Any], *, key: str) -> requests.Response:
        """Post a payment under an idempotency key; the answer, whatever it says.

        Tries again while the service is busy or out of reach: with the same key that
        never makes a second payment. Raises StackError once PATIENCE is over.
        """
        return self._ask(
            "POST", "/v1/payments", json=body, headers={"Idempotency-Key": key}
        )

    def payment(self, payment_id: str, *, hold: int = 0) -> dict[str, Any]:
        """A payment, ``hold`` seconds later at most where it is not settled yet.

        Raises StackError where it cannot be read.
        """
        query = {"wait": str(hold)} if hold else {}
        return self._read(f"/v1/payments/{payment_id}", query)

    def events(self, payment_id: str) -> list[dict[str, Any]]:
        """A payment's timeline. Raises StackError where it cannot be read."""
        found = self._read(f"/v1/payments/{payment_id}/events", {})
        return list(found["data"])

    def _read(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        answer = self._ask("GET", path, params=query)
        if answer.status_code != 200:
            raise StackError(words(answer))
        return dict(answer.json())

    def _ask(self, method: str, path: str, **parts: Any) -> requests.Response:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self._session.request(
                    method, self._base + path, timeout=TIMEOUT, **parts
                )
            except (requests.ConnectionError, requests.Timeout):
                problem, pause = f"{self._base} does not answer", PAUSE
            else:
                if answer.status_code not in (429, 503):
                    return answer
                problem, pause = words(answer), _pause(answer)
            if time.monotonic() + pause > deadline:
                raise StackError(f"{problem}. Is the stack up? See `payments doctor`")
            time.sleep(pause)


def api_of(settings: Settings, environment: Mapping[str, str]) -> Api:
    """The API to talk to: named by the environment, or the running stack's.

    PAYMENTS_URL and PAYMENTS_API_KEY name another one. Raises StackError where no key
    is known.
    """
    state = read_state(settings.home)
    running = state.urls["api"] if state else f"http://{settings.host}:{settings.port}"
    key = environment.get("PAYMENTS_API_KEY") or demo_key.read(settings.home)
    if not key:
        raise StackError(
            "no API key is known. Set PAYMENTS_API_KEY (`payments keys create` makes"
            " one), or start a stack with `payments up`"
        )
    return Api(environment.get("PAYMENTS_URL") or running, key)


def words(answer: requests.Response) -> str:
    """What a problem says, in one line."""
    try:
        problem = answer.json()
        said = [problem.get("detail") or problem["title"]]
        for error in problem.get("errors", []):
            said.append(f"{error.get('pointer', '')}: {error.get('detail', '')}")
    except (ValueError, KeyError, AttributeError):
        said = [answer.reason or "no reason given"]
    return f"{answer.status_code} {'; '.join(map(str, said))}"


def _pause(answer: requests.Response) -> float:
    try:
        wanted = float(answer.headers["Retry-After"])
    except (KeyError, ValueError):
        return PAUSE
    return min(max(wanted, PAUSE), LONGEST_PAUSE)


def is_settled(payment: Mapping[str, Any]) -> bool:
    """Whether no work of ours will change the payment."""
    states = {operation["state"] for operation in payment["operations"]}
    waits = bool(states & {"pending", "review", "dead"})
    return payment["status"] != "processing" or waits


def settled(api: Api, payment: dict[str, Any], *, deadline: float) -> dict[str, Any]:
    """The payment once it is settled, or as it is at ``deadline`` (monotonic)."""
    while not is_settled(payment):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        payment = api.payment(payment["id"], hold=max(1, min(HOLD, int(left))))
    return payment
