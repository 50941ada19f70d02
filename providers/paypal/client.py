"""paypalrestsdk's client with a safe transport for Orders v2 and Payments v2.

The SDK (1.13.3) has no timeouts, opens a connection for each call, requests tokens
without end while PayPal answers 401, hides a 400, sends a caller's headers to the token
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
from providers.http import PooledSession, is_unsent, parse_retry_after

#: Seconds before a token's end at which it is no longer used: longer than any call.
_MARGIN: Final = 60.0


class Reply(dict[str, Any]):
    """An answer's JSON object, with PayPal's id of the call."""

    debug_id: str | None = None


class PayPalApi(paypalrestsdk.Api):  # type: ignore[misc]  # the SDK is not typed
    """The client of one PayPal account. ``post`` and ``get`` return a Reply.

    They raise the SDK's ``exceptions.ConnectionError`` family for an error status,
    ``requests.RequestException`` without an answer, ValueError if the answer is not
    JSON, and NotExecuted without a token.
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
        self._lock = threading.Lock()  # guards the next three fields
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
        """Makes one call; a token that PayPal no longer accepts is renewed once."""
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
        """Makes one call by the pooled session, with timeouts and without logging."""
        response = self._session.request(method, url, **options)
        body = self.handle_response(response, response.content.decode("utf-8"))
        if not isinstance(body, dict):
            raise ValueError("not a JSON object")
        reply = Reply(body)
        reply.debug_id = response.headers.get("PayPal-Debug-Id")
        return reply

    def _access_token(self, *, instead_of: str | None = None) -> str:
        """The current token; a new one if it ends soon or is ``instead_of``.

        One caller renews it, and concurrent callers share the result or the failure:
        one after the other, the last of them would wait for minutes. Raises
        NotExecuted, because the call is not made without a token.
        """
        with self._lock:
            is_valid = time.monotonic() < self._token_ends - _MARGIN
            if is_valid and self._token not in (None, instead_of):
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
        """Renews the token and ends ``renewal`` in any case: other threads wait."""
        try:
            began = time.monotonic()
            token, seconds = self._request_token()
        except BaseException as error:
            with self._lock:
                self._renewal = None
            renewal.set_exception(error)
        else:
            with self._lock:
                self._token, self._token_ends = token, began + seconds
                self._renewal = None
            renewal.set_result(token)

    def _request_token(self) -> tuple[str, float]:
        """A token and its lifetime in seconds. Raises NotExecuted."""
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
            # NotSent is retried at once, so it is raised only for a fast failure.
            failure = NotSent if is_unsent(error) else NotExecuted
            raise failure(ErrorDetail.TOKEN_UNAVAILABLE) from None
        except (KeyError, TypeError, ValueError):
            raise NotExecuted(ErrorDetail.TOKEN_MALFORMED) from None
        return token, seconds


def debug_id(error: ApiError) -> str | None:
    """PayPal's id of the failed call."""
    value = error.response.headers.get("PayPal-Debug-Id")
    return None if value is None else str(value)


def error_body(error: ApiError) -> dict[str, Any]:
    """The JSON object of an error answer; empty if it has none."""
    try:
        body = json.loads(error.content)
    except (TypeError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def is_paypal_error(body: Mapping[str, Any]) -> bool:
    """Whether an error has PayPal's form, or OAuth's (RFC 6749, section 5.2).

    An error page of a proxy or another server proves nothing about credentials.
    """
    return any(isinstance(body.get(name), str) for name in ("name", "error"))


def _with_token(token: str, headers: dict[str, str] | None) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Accept": "application/json",
        **(headers or {}),
        "Authorization": f"Bearer {token}",
    }
