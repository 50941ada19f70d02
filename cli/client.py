"""The HTTP API as the command line uses it: patient, and never twice for one key."""

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

#: Seconds to connect, and to read: above the 30 that a `?wait=` may hold a request.
TIMEOUT: Final = (3.05, 40)
#: Seconds the service may be out of reach or busy before all requests give up.
MAX_ABSENCE: Final = 60.0
#: Seconds of that before somebody who waits is told; a restart may go unnoticed.
ABSENCE_NOTICE: Final = 2.0
#: Seconds between two tries where the answer names none; and the most it may ask for.
FIRST_PAUSE: Final = 0.5
MAX_PAUSE: Final = 10.0
#: Seconds the service holds one question for a payment's end.
LONG_POLL_SECONDS: Final = 20

#: What a header can carry; a newline would begin another one.
_KEY: Final = re.compile(r"[!-~]+")


class Api:
    """The API at ``base``, for the owner of ``key``. Safe to use from threads.

    ``notify`` is told, in one line, when the service has been away for NOTICE seconds.
    Once it has been away for ``patience`` seconds every request fails, those to come
    too: a file of a thousand lines waits once.
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

    def payment(self, payment_id: str, *, wait_seconds: int = 0) -> dict[str, Any]:
        """A payment, ``hold`` seconds later at most where it is not settled yet.

        Raises StackError where it cannot be read.
        """
        query = {"wait": str(wait_seconds)} if wait_seconds else {}
        return self.read(f"/v1/payments/{payment_id}", query)

    def events(self, payment_id: str) -> list[dict[str, Any]]:
        """A payment's timeline. Raises StackError where it cannot be read."""
        found = self.read(f"/v1/payments/{payment_id}/events", {})
        return list(found["data"])

    def read(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """What a GET of ``path`` answers. Raises StackError where it is a problem."""
        answer = self._ask("GET", path, params=query)
        if answer.status_code != 200:
            raise StackError(describe_problem(answer))
        return document(answer)

    def act(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a POST of ``body`` answers; harmless to repeat, as operators' acts are.

        Raises StackError where it is a problem.
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
                raise StackError(f"{self._base} cannot be asked: {error}") from None
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
    """How long the service has been away, for all threads together."""

    def __init__(self, notify: Callable[[str], None], patience: float) -> None:
        self._notify = notify
        self._patience = patience
        self._lock = threading.Lock()
        self._since: float | None = None  #: monotonic; None while it answers
        self._told = False
        self.too_long = False  #: and once it was, nobody waits again

    def end(self) -> None:
        """It answered."""
        with self._lock:
            self._since, self._told = None, False

    def wait(self, message: str) -> None:
        """It did not answer, or was too busy; ``words`` say what is waited for."""
        with self._lock:
            now = time.monotonic()
            if self._since is None:
                self._since = now
            away = now - self._since
            if away >= ABSENCE_NOTICE and not self._told:
                self._told = True
                self._notify(message)
            self.too_long = self.too_long or away >= self._patience


def create_api(
    settings: Settings,
    environment: Mapping[str, str],
    *,
    notify: Callable[[str], None],
    demo: str = demo_keys.SHOP,
) -> Api:
    """The API to talk to: named by the environment, or the running stack's.

    ``demo`` names the file of the home's key that is used where none is given.
    PAYMENTS_URL and PAYMENTS_API_KEY name another one. Raises StackError where no
    stack runs or no key is known, SettingsError where one of the two cannot be used.
    """
    base = environment.get("PAYMENTS_URL") or _running(settings)
    _check_url(base)
    key = environment.get("PAYMENTS_API_KEY") or demo_keys.read(settings.home, demo)
    if not key:
        raise StackError(
            "no API key is known. Set PAYMENTS_API_KEY (`payments keys create` makes"
            " one), or start a stack with `payments up`"
        )
    if not _KEY.fullmatch(key):
        raise SettingsError(
            "PAYMENTS_API_KEY has a space or a character that no key has. Copy it again"
        )
    return Api(base, key, notify=notify)


def document(answer: requests.Response) -> dict[str, Any]:
    """The object in an answer. Raises StackError where it has none."""
    try:
        return dict(answer.json())
    except (ValueError, TypeError):
        raise StackError(
            f"{answer.url} does not answer as a payment service does."
            " Does PAYMENTS_URL name one?"
        ) from None


def describe_problem(answer: requests.Response) -> str:
    """What a problem says, in one line."""
    try:
        problem = answer.json()
        said = [problem.get("detail") or problem["title"]]
        for error in problem.get("errors", []):
            said.append(f"{error.get('pointer', '')}: {error.get('detail', '')}")
    except (ValueError, KeyError, AttributeError):
        said = [answer.reason or "no reason given"]
    if answer.status_code in (401, 403):
        said.append(
            "the key is PAYMENTS_API_KEY, or the home's: see `payments keys list`"
        )
    return f"{answer.status_code} {'; '.join(map(str, said))}"


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
    except ValueError:  # no port is like this
        usable = False
    if not usable or not _KEY.fullmatch(url):
        raise SettingsError(
            "PAYMENTS_URL is no address: write it like http://127.0.0.1:8000"
        )


def _pause(answer: requests.Response) -> float:
    try:
        wanted = float(answer.headers["Retry-After"])
    except (KeyError, ValueError):
        return FIRST_PAUSE
    return min(max(wanted, FIRST_PAUSE), MAX_PAUSE)


def is_settled(payment: Mapping[str, Any]) -> bool:
    """Whether no work of ours will change the payment."""
    states = {operation["state"] for operation in payment["operations"]}
    waits = bool(states & {"pending", "review", "dead"})
    return payment["status"] != "processing" or waits


def wait_until_settled(
    api: Api, payment: dict[str, Any], *, deadline: float
) -> dict[str, Any]:
    """The payment once it is settled, or as it is at ``deadline`` (monotonic)."""
    while not is_settled(payment):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        payment = api.payment(
            payment["id"], wait_seconds=max(1, min(LONG_POLL_SECONDS, int(left)))
        )
    return payment
