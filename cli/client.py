"""The command line's client of the HTTP API, which waits while the API is down."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from local_stack import demo_keys
from local_stack.state import StackError, read_state
from runtime.settings import Settings, SettingsError

#: Seconds to connect and to read: more than the 30 of a long poll.
TIMEOUT: Final = (3.05, 40)
#: Seconds that the service may be unavailable before all requests fail.
MAX_ABSENCE: Final = 60.0
#: Seconds until the user gets a notice; a short restart needs none.
ABSENCE_NOTICE: Final = 2.0
#: Seconds between two attempts by default, and the longest accepted Retry-After.
FIRST_PAUSE: Final = 0.5
MAX_PAUSE: Final = 10.0
#: Seconds of one long poll.
LONG_POLL_SECONDS: Final = 20

#: Characters that a header can have; a newline would begin another header.
_KEY: Final = re.compile(r"[!-~]+")


class Api:
    """The API at ``base``, for the owner of ``key``. Safe to use from threads.

    ``notify`` gets one line once the service has been unavailable for ABSENCE_NOTICE
    seconds. After ``patience`` seconds every request fails, later ones included, so a
    file of a thousand lines waits only once.
    """

    def __init__(
        self,
        base: str,
        key: str,
        *,
        notify: Callable[[str], None],
        connections: int = 8,
        patience: float = MAX_ABSENCE,
    ) -> None:
        self._base = base.rstrip("/")
        self._absence = _Absence(notify, patience)
        self._patience = patience
        self._session = requests.Session()
        # The machine's proxy and .netrc are not meant for this service.
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {key}"
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=connections)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def submit(self, body: Mapping[str, Any], *, key: str) -> requests.Response:
        """Posts a payment under an idempotency key and returns any answer.

        Tries again while the service is busy or unavailable; the same key never makes
        a second payment. Raises StackError after ``patience`` seconds.
        """
        return self._ask(
            "POST", "/v1/payments", json=body, headers={"Idempotency-Key": key}
        )

    def payment(self, payment_id: str, *, wait_seconds: int = 0) -> dict[str, Any]:
        """Reads a payment; waits up to ``wait_seconds`` until it is settled.

        Raises StackError if it cannot be read.
        """
        query = {"wait": str(wait_seconds)} if wait_seconds else {}
        return self.read(f"/v1/payments/{payment_id}", query)

    def events(self, payment_id: str) -> list[dict[str, Any]]:
        """Reads a payment's timeline. Raises StackError if it cannot be read."""
        found = self.read(f"/v1/payments/{payment_id}/events", {})
        return list(found["data"])

    def read(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the answer to a GET of ``path``. Raises StackError for a problem."""
        answer = self._ask("GET", path, params=query)
        if answer.status_code != 200:
            raise StackError(describe_problem(answer))
        return document(answer)

    def act(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the answer to a POST of ``body``; operators' actions are idempotent.

        Raises StackError for a problem.
        """
        answer = self._ask("POST", path, json=body)
        if not answer.ok:
            raise StackError(describe_problem(answer))
        return document(answer)

    def _ask(self, method: str, path: str, **parts: Any) -> requests.Response:
        deadline = time.monotonic() + self._patience
        problem, waited = f"{self._base} does not answer", f"waiting for {self._base}"
        while not self._absence.too_long:
            try:
                answer = self._session.request(
                    method, self._base + path, timeout=TIMEOUT, **parts
                )
            except (requests.ConnectionError, requests.Timeout):
                problem, pause = f"{self._base} does not answer", FIRST_PAUSE
                waited = f"waiting for {self._base}"
            except requests.RequestException as error:
                raise StackError(f"{self._base} cannot be called: {error}") from None
            else:
                if answer.status_code not in (429, 503):
                    self._absence.end()
                    return answer
                problem, pause = describe_problem(answer), _pause(answer)
                waited = f"waiting for {self._base}: {problem}"
            self._absence.wait(waited)
            if time.monotonic() + pause > deadline:
                break
            time.sleep(pause)
        raise StackError(f"{problem}. Is the stack up? See `payments doctor`")


class _Absence:
    """The time for which the service has been unavailable, for all threads."""

    def __init__(self, notify: Callable[[str], None], patience: float) -> None:
        self._notify = notify
        self._patience = patience
        self._lock = threading.Lock()
        self._since: float | None = None  #: monotonic; None while available
        self._has_notified = False
        self.too_long = False  #: once true, no request waits again

    def end(self) -> None:
        """Records that the service answered."""
        with self._lock:
            self._since, self._has_notified = None, False

    def wait(self, message: str) -> None:
        """Records an unavailable service; ``message`` is the text of the notice."""
        with self._lock:
            now = time.monotonic()
            if self._since is None:
                self._since = now
            away = now - self._since
            if away >= ABSENCE_NOTICE and not self._has_notified:
                self._has_notified = True
                self._notify(message)
            self.too_long = self.too_long or away >= self._patience


def create_api(
    settings: Settings,
    environment: Mapping[str, str],
    *,
    notify: Callable[[str], None],
    demo: str = demo_keys.SHOP,
) -> Api:
    """Connects to the API of PAYMENTS_URL, or of the running stack.

    The key is PAYMENTS_API_KEY, or the home's demo key in the file ``demo``. Raises
    StackError if no stack runs or no key is known, and SettingsError if one of the two
    variables is malformed.
    """
    base = environment.get("PAYMENTS_URL") or _running(settings)
    _check_url(base)
    key = environment.get("PAYMENTS_API_KEY") or demo_keys.read(settings.home, demo)
    if not key:
        raise StackError(
            "no API key is known. Set PAYMENTS_API_KEY (`payments keys create` creates"
            " a key), or start a stack with `payments up`"
        )
    if not _KEY.fullmatch(key):
        raise SettingsError(
            "PAYMENTS_API_KEY has an invalid character. Copy the key again"
        )
    return Api(base, key, notify=notify)


def document(answer: requests.Response) -> dict[str, Any]:
    """Returns the JSON object of an answer. Raises StackError if there is none."""
    try:
        return dict(answer.json())
    except (ValueError, TypeError):
        raise StackError(
            f"the answer of {answer.url} is not from a payment service."
            " Does PAYMENTS_URL name one?"
        ) from None


def describe_problem(answer: requests.Response) -> str:
    """Describes a problem in one line."""
    try:
        problem = answer.json()
        parts = [problem.get("detail") or problem["title"]]
        for error in problem.get("errors", []):
            parts.append(f"{error.get('pointer', '')}: {error.get('detail', '')}")
    except (ValueError, KeyError, AttributeError):
        parts = [answer.reason or "no reason given"]
    if answer.status_code in (401, 403):
        parts.append(
            "the key is PAYMENTS_API_KEY or the home's demo key; see `payments keys"
            " list`"
        )
    return f"{answer.status_code} {'; '.join(map(str, parts))}"


def _running(settings: Settings) -> str:
    state = read_state(settings.home)
    if state is None:
        raise StackError(
            f"no stack runs in {settings.home.resolve()}. Start one with `payments up`,"
            " or set PAYMENTS_URL and PAYMENTS_API_KEY to use another"
        )
    return state.urls["api"]


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and parts.port != 0
    except ValueError:  # an invalid port
        usable = False
    if not usable or not _KEY.fullmatch(url):
        raise SettingsError(
            "PAYMENTS_URL is not an address such as http://127.0.0.1:8000"
        )


def _pause(answer: requests.Response) -> float:
    try:
        wanted = float(answer.headers["Retry-After"])
    except (KeyError, ValueError):
        return FIRST_PAUSE
    return min(max(wanted, FIRST_PAUSE), MAX_PAUSE)


def is_settled(payment: Mapping[str, Any]) -> bool:
    """Whether the service has no more work on the payment."""
    states = {operation["state"] for operation in payment["operations"]}
    waits = bool(states & {"pending", "review", "dead"})
    return payment["status"] != "processing" or waits


def wait_until_settled(
    api: Api, payment: dict[str, Any], *, deadline: float
) -> dict[str, Any]:
    """Returns the payment once it is settled, or its state at ``deadline``
    (monotonic).
    """
    while not is_settled(payment):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        payment = api.payment(
            payment["id"], wait_seconds=max(1, min(LONG_POLL_SECONDS, int(left)))
        )
    return payment
