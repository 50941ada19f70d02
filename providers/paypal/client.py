"""paypalrestsdk's transport, made safe for Orders v2 and Payments v2.

As shipped (1.13.3) it has no timeouts, opens a connection a call, asks for tokens
without end when 401 stays, hides a 400, sends a caller's headers to the token
endpoint, and logs bearer tokens at DEBUG. Each of these is overridden here.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from copy import copy
from typing import Any, Final

import paypalrestsdk
import requests
from paypalrestsdk import exceptions
from paypalrestsdk.exceptions import ConnectionError as ApiError

from domain.error_details import ErrorDetail
from domain.errors import Misconfigured, NotExecuted, NotSent
from domain.payments.submission import Mode
from providers.http import PooledSession, parse_retry_after, is_unsent

#: Seconds before its end at which a token is no longer used: longer than any call.
_MARGIN: Final = 60.0


class Reply(dict[str, Any]):
    """An answer's JSON object, with PayPal's name of the call."""

    debug_id: str | None = None


class PayPalApi(paypalrestsdk.Api):  # type: ignore[misc]  # the SDK is not typed
    """``post`` and ``get`` return a Reply or raise.

    They raise the SDK's ``exceptions.ConnectionError`` family for answers that are
    no success, ``requests.RequestException`` where none came, ValueError where it
    was not JSON, and NotExecuted where no token was to be had.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        client_id: str,
        client_secret: str,
        mode: Mode,
        session: PooledSession,
    ) -> None:
        super().__init__(
            mode="live" if mode is Mode.LIVE else "sandbox",
            endpoint=endpoint.rstrip("/"),
            client_id=client_id,
            client_secret=client_secret,
        )
        self._session = session
        self._lock = threading.Lock()  # guards the three that follow
        self._token: str | None = None
        self._token_ends = 0.0  # on the monotonic clock
        self._renewal: Future[str] | None = None  # under way

    def request(
        self,
        url: str,
        method: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        refresh_token: str | None = None,
    ) -> Reply:
        """One call; a token that PayPal has forgotten is renewed once."""
        token = self._access_token()
        data = None if body is None else json.dumps(body)
        try:
            return self.http_call(
                url, method, data=data, headers=_with_token(token, headers)
            )
        except exceptions.UnauthorizedAccess:
            token = self._access_token(instead_of=token)
            return self.http_call(
                url, method, data=data, headers=_with_token(token, headers)
            )

    def http_call(self, url: str, method: str, **options: Any) -> Reply:
        """By the pooled session, with timeouts, logging nothing."""
        response = self._session.request(method, url, **options)
        body = self.handle_response(response, response.content.decode("utf-8"))
        if not isinstance(body, dict):
            raise ValueError("not a JSON object")
        reply = Reply(body)
        reply.debug_id = response.headers.get("PayPal-Debug-Id")
        return reply

    def _access_token(self, *, instead_of: str | None = None) -> str:
        """The current token; a new one where it ends soon or is ``instead_of``.

        One caller asks for all who wait meanwhile, and they share its failure: in
        turn, each until its own timeout, the last of them would wait for minutes.
        Raises NotExecuted: without a token, the call that wants it is not made.
        """
        with self._lock:
            lasting = time.monotonic() < self._token_ends - _MARGIN
            if lasting and self._token not in (None, instead_of):
                return self._token
            renewal, is_ours = self._renewal or Future(), self._renewal is None
            self._renewal = renewal
        if is_ours:
            self._renew(renewal)
        failure = renewal.exception()
        if failure is not None:
            # A copy: one error raised in many threads mixes their tracebacks.
            raise copy(failure)
        return renewal.result()

    def _renew(self, renewal: Future[str]) -> None:
        """Ends ``renewal``, whatever happens: others wait for it."""
        try:
            asked = time.monotonic()
            token, seconds = self._request_token()
        except BaseException as error:
            with self._lock:
                self._renewal = None
            renewal.set_exception(error)
        else:
            with self._lock:
                self._token, self._token_ends = token, asked + seconds
                self._renewal = None
            renewal.set_result(token)

    def _request_token(self) -> tuple[str, float]:
        """A token and the seconds it is valid. Raises NotExecuted."""
        try:
            reply = self.http_call(
                f"{self.endpoint}/v1/oauth2/token",
                "POST",
                data="grant_type=client_credentials",
                headers={
                    "Authorization": f"Basic {self.basic_auth()}",
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Accept": "application/json",
                },
            )
            token, seconds = reply["access_token"], float(reply["expires_in"])
            if not isinstance(token, str) or not token:
                raise TypeError("a token is a text")
        except ApiError as error:
            refused = isinstance(
                error, (exceptions.UnauthorizedAccess, exceptions.ForbiddenAccess)
            )
            if refused and is_paypal_error(error_body(error)):
                raise Misconfigured(
                    ErrorDetail.TOKEN_REFUSED, request_id=debug_id(error)
                ) from None
            raise NotExecuted(
                ErrorDetail.TOKEN_UNAVAILABLE,
                request_id=debug_id(error),
                retry_after=parse_retry_after(
                    error.response.headers.get("Retry-After")
                ),
            ) from None
        except requests.RequestException as error:
            # Only what failed fast may be tried again at once, as NotSent is.
            failure = NotSent if is_unsent(error) else NotExecuted
            raise failure(ErrorDetail.TOKEN_UNAVAILABLE) from None
        except (KeyError, TypeError, ValueError):
            raise NotExecuted(ErrorDetail.TOKEN_MALFORMED) from None
        return token, seconds


def debug_id(error: ApiError) -> str | None:
    """PayPal's name of the call that failed."""
    value = error.response.headers.get("PayPal-Debug-Id")
    return None if value is None else str(value)


def error_body(error: ApiError) -> dict[str, Any]:
    """The JSON object of an answer that is no success; empty where it has none."""
    try:
        body = json.loads(error.content)
    except (TypeError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def is_paypal_error(body: Mapping[str, Any]) -> bool:
    """Whether an error is of PayPal's form, or of OAuth's (RFC 6749, section 5.2).

    Whoever stands between us, and says no with a page, does not speak of credentials.
    """
    return any(isinstance(body.get(name), str) for name in ("name", "error"))


def _with_token(token: str, headers: dict[str, str] | None) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Accept": "application/json",
        **(headers or {}),
        "Authorization": f"Bearer {token}",
    }
