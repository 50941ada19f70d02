"""One HTTP/1.1 connection, which reads requests one by one within time and size limits.

httptools (llhttp, the parser of Node.js) checks that the HTTP is well formed.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from web.http.wsgi import Answer, Request, refusal
from web.problem_codes import ProblemCode

if TYPE_CHECKING:
    from web.http.listener import Listener

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE: Final = b"Connection: close\r\n"
#: The start of a target in absolute form (RFC 9112, section 3.2.2).
_ABSOLUTE_FORM: Final = re.compile(rb"https?://[^/?#]+/?", re.IGNORECASE)


class Refused(Exception):
    """The request is refused with the problem ``code``."""

    def __init__(self, code: ProblemCode) -> None:
        super().__init__(code)
        self.code = code


class Connection(asyncio.BufferedProtocol):
    """A client's connection. Use it only from the event loop's thread.

    While the connection waits for its client it has a deadline and is listed in the
    listener's ``waiting``. Pipelined requests are answered in their order.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._limits = listener.limits
        #: None once reading has ended, which also breaks the reference cycle.
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._incoming: Request | None = None  #: not complete yet
        self._read_bytes = 0  #: since the incoming request began
        self._max_body = 0
        self._due: deque[Request] = deque()  #: complete, in order of arrival
        self._current: Request | None = None  #: being answered by a thread
        self._has_unsent = False
        self._client_has_ended = False
        self._closes = False  #: the next answer is the last
        self._timer: asyncio.TimerHandle | None = None

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server = transport.get_extra_info("sockname")[:2]
        # The peer name is missing if the client has already disconnected.
        self._client = (transport.get_extra_info("peername") or ("", 0))[:2]
        # pause_writing is then called for every answer not read at once.
        transport.set_write_buffer_limits(high=0)
        self._wait(self._limits.head_seconds, self._transport.close)
        self._listener.add(self)

    def get_buffer(self, sizehint: int) -> bytearray:
        # The data is parsed before another connection reads, so all share one buffer.
        return self._listener.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._parser is None:
            return  # the rest of a refused request is ignored
        try:
            self._parser.feed_data(memoryview(self._listener.buffer)[:nbytes])
            self._check_framing(nbytes)
        except HttpParserUpgrade:
            # The request is complete; the data after it belongs to another protocol.
            self._parser = None
        except HttpParserError as error:
            cause = error.__context__
            self._refuse(
                cause.code if isinstance(cause, Refused) else ProblemCode.BAD_REQUEST
            )
        except Refused as refused:
            self._refuse(refused.code)
        self._answer_next()
        if self._due:  # pipelined after the current request
            self._stop_waiting()
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        # A half-closed client may still read its answer.
        self._client_has_ended = True
        return self._current is not None

    def pause_writing(self) -> None:
        self._has_unsent = True
        self._wait(self._limits.answer_seconds, self.abort)
        self._transport.pause_reading()
        self._listener.add_unsent(self)

    def resume_writing(self) -> None:
        self._has_unsent = False
        self._listener.remove_unsent(self)
        self._stop_waiting()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_requests()
        self._stop_waiting()
        self._parser = None
        self._listener.remove(self)

    # The parser calls these; an exception ends the parsing.

    def on_message_begin(self) -> None:
        self._incoming = Request(self._server, self._client)
        self._read_bytes = 0
        self._wait(self._limits.head_seconds, self._time_out)

    def on_url(self, url: bytes) -> None:
        assert self._incoming is not None
        self._incoming.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self._incoming is not None
        if self._incoming.method:
            return  # a trailer is not a header
        if len(self._incoming.headers) >= self._limits.headers:
            raise Refused(ProblemCode.HEAD_TOO_LARGE)
        self._incoming.headers.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._incoming is not None and self._parser is not None
        request, parser = self._incoming, self._parser
        request.method = parser.get_method().decode()
        request.version = parser.get_http_version()
        keeps = parser.should_keep_alive() and not parser.should_upgrade()
        request.closes = request.version != "1.1" or not keeps
        self._check_head(request)
        self._wait(self._limits.body_seconds, self._time_out)

    def on_body(self, body: bytes) -> None:
        assert self._incoming is not None
        if len(self._incoming.body) + len(body) > self._max_body:
            raise Refused(ProblemCode.BODY_TOO_LARGE)
        self._incoming.body += body
        self._listener.count_buffered(len(body))

    def on_message_complete(self) -> None:
        assert self._incoming is not None
        if len(self._due) >= self._limits.pipelined:
            raise Refused(ProblemCode.OVERLOADED)
        self._due.append(self._incoming)
        self._incoming = None
        self._stop_waiting()

    # The listener calls these.

    def answer(self, answer: Answer) -> None:
        """Sends the answer to the current request."""
        assert self._current is not None
        self._listener.count_buffered(-len(self._current.body))
        has_body = self._current.method != "HEAD"
        self._current = None
        if not self._transport.is_closing():
            self._send(answer, has_body=has_body)

    def abort(self) -> None:
        """Ends the connection at once, without an answer."""
        self._forget_requests()
        self._stop_waiting()
        self._transport.abort()

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the bodies that wait for a thread."""
        return sum(len(request.body) for request in self._unanswered())

    def drain(self) -> None:
        """Ends the connection once its pending answers are sent."""
        self._closes = True
        if not self._current and self._incoming is None and not self._has_unsent:
            self._transport.close()

    def _check_head(self, request: Request) -> None:
        """Raises Refused if the head breaks HTTP's rules or our limits."""
        if request.version not in ("1.0", "1.1"):
            raise Refused(ProblemCode.BAD_REQUEST)
        lengths = (len(name) + len(value) for name, value in request.headers)
        if len(request.target) + sum(lengths) > self._limits.head_bytes:
            raise Refused(ProblemCode.HEAD_TOO_LARGE)
        given = [(name.lower(), value) for name, value in request.headers]
        hosts = sum(name == b"host" for name, _ in given)
        if hosts > 1 or (hosts == 0 and request.version == "1.1"):
            raise Refused(ProblemCode.BAD_REQUEST)
        absolute = _ABSOLUTE_FORM.match(request.target)
        if absolute:
            request.target = b"/" + request.target[absolute.end() :]
        if not request.target.startswith(b"/"):
            raise Refused(ProblemCode.BAD_REQUEST)
        self._max_body = self._listener.max_body(request.target)
        for name, value in given:
            # The parser has checked that the length is a number.
            if name == b"content-length" and int(value) > self._max_body:
                raise Refused(ProblemCode.BODY_TOO_LARGE)
            # No other transfer encoding, such as compression, is supported.
            if name == b"transfer-encoding" and value.lower() != b"chunked":
                raise Refused(ProblemCode.BAD_REQUEST)
        expects = (b"expect", b"100-continue")
        if any((name, value.lower()) == expects for name, value in given):
            if request.version == "1.1" and not self._current and not self._due:
                self._transport.write(_CONTINUE)

    def _check_framing(self, count: int) -> None:
        """Raises Refused if the bytes outside the body exceed the limit.

        An endless head, chunk sizes and extensions, and trailers are such bytes. The
        first read of a request may also hold the end of the one before it.
        """
        if self._incoming is None:
            return
        self._read_bytes += count
        body = len(self._incoming.body)
        # The smallest chunk has five bytes of framing for one of the body.
        if self._read_bytes - body > self._limits.head_bytes + count + 5 * body:
            raise Refused(ProblemCode.HEAD_TOO_LARGE)

    def _answer_next(self) -> None:
        """Handles the next due request unless an answer is in progress."""
        if self._transport.is_closing():
            return
        if self._has_unsent and self._timer is None:
            self._wait(self._limits.answer_seconds, self.abort)
        if self._current or self._has_unsent or not self._due:
            return
        request = self._due.popleft()
        self._closes |= request.closes
        if request.refused_as:
            self._send(refusal(request.refused_as))
        else:
            self._current = request
            self._listener.handle(request, self)

    def _send(self, answer: Answer, *, has_body: bool = True) -> None:
        close, body = b"", answer.body if has_body else b""
        if self._closes:
            close, self._parser = _CLOSE, None
        self._transport.write(b"".join((answer.head, close, b"\r\n", body)))
        if not self._has_unsent:
            self._go_on()

    def _go_on(self) -> None:
        """Chooses the next step after a complete answer."""
        if self._closes and not self._current:
            self._linger()
        elif self._due:
            self._answer_next()
        elif self._client_has_ended:
            self._transport.close()
        elif not self._current:
            if self._incoming is None:
                self._wait(self._limits.idle_seconds, self._transport.close)
            else:
                self._wait(self._limits.head_seconds, self._time_out)
            self._transport.resume_reading()

    def _refuse(self, code: ProblemCode) -> None:
        """Stops reading; the refusal is sent after the answers due before it."""
        self._listener.count_refusal(code)
        if self._incoming is not None:
            self._listener.count_buffered(-len(self._incoming.body))
        self._incoming = None
        self._parser = None
        self._stop_waiting()
        self._due.append(
            Request(self._server, self._client, closes=True, refused_as=code)
        )

    def _time_out(self) -> None:
        """Refuses a request that its client sent too slowly."""
        self._refuse(ProblemCode.REQUEST_TIMEOUT)
        self._answer_next()

    def _linger(self) -> None:
        """Closes the connection once the client has read the last answer.

        An immediate close with unread data would make the system reset the connection,
        and the client would lose the answer (RFC 9112, section 9.6).
        """
        if self._client_has_ended:
            self._transport.close()
            return
        self._wait(self._limits.linger_seconds, self.abort)
        self._transport.resume_reading()
        try:
            self._transport.write_eof()
        except OSError:  # the client has disconnected
            self.abort()

    def _unanswered(self) -> Iterator[Request]:
        """Yields the requests that no thread has yet, an incomplete one included."""
        if self._incoming is not None:
            yield self._incoming
        yield from self._due

    def _forget_requests(self) -> None:
        self._listener.count_buffered(-self.buffered_bytes)
        self._incoming = None
        self._due.clear()

    def _wait(self, seconds: float, then: Callable[[], object]) -> None:
        """Calls ``then`` if the client does not act within ``seconds``."""
        self._stop_waiting()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)
        self._listener.waiting[self] = None

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            del self._listener.waiting[self]
