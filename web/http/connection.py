"""One HTTP/1.1 connection: it reads requests under deadlines and bounds, one by one.

httptools (llhttp, the parser of Node.js) decides what is well-formed HTTP.
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
#: Of a target that names the server as well (RFC 9112, section 3.2.2).
_WHOLE: Final = re.compile(rb"https?://[^/?#]+/?", re.IGNORECASE)


class Refused(Exception):
    """The request ends here, with the problem ``code`` as its answer."""

    def __init__(self, code: ProblemCode) -> None:
        super().__init__(code)
        self.code = code


class Connection(asyncio.BufferedProtocol):
    """A client's connection. Use from the thread of the event loop.

    Whenever the next step is the client's, the connection is among the listener's
    ``waiting`` ones and has a deadline. Requests that come before the answer to an
    earlier one are answered in their order.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._limits = listener.limits
        #: None once nothing more is read. It holds the connection, which holds it.
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._incoming: Request | None = None  #: not complete yet
        self._read_bytes = 0  #: since this request began
        self._max_body = 0
        self._due: deque[Request] = deque()  #: complete, in their order
        self._current: Request | None = None  #: the one that is being answered
        self._has_unsent = False
        self._client_has_ended = False
        self._closes = False  #: the next answer is the last
        self._timer: asyncio.TimerHandle | None = None

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server = transport.get_extra_info("sockname")[:2]
        # A client that is gone already has no name.
        self._client = (transport.get_extra_info("peername") or ("", 0))[:2]
        # Tells of every answer that its client does not read at once.
        transport.set_write_buffer_limits(high=0)
        self._wait(self._limits.head_seconds, self._transport.close)
        self._listener.add(self)

    def get_buffer(self, sizehint: int) -> bytearray:
        # It is parsed before another connection reads, so that all can share it.
        return self._listener.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._parser is None:
            return  # a refused client may still send the rest
        try:
            self._parser.feed_data(memoryview(self._listener.buffer)[:nbytes])
            self._check_framing(nbytes)
        except HttpParserUpgrade:
            # The request is complete; what follows it is another protocol's.
            self._parser = None
        except HttpParserError as error:
            cause = error.__context__
            self._refuse(
                cause.code if isinstance(cause, Refused) else ProblemCode.BAD_REQUEST
            )
        except Refused as refused:
            self._refuse(refused.code)
        self._answer_next()
        if self._due:  # behind the one that is being answered
            self._stop_waiting()
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        # A client that only stopped sending still reads.
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

    # The parser calls these; what they raise ends the parsing.

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
            return  # a trailer, which must not pass for a header
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
        self._listener.hold(len(body))

    def on_message_complete(self) -> None:
        assert self._incoming is not None
        if len(self._due) >= self._limits.pipelined:
            raise Refused(ProblemCode.OVERLOADED)
        self._due.append(self._incoming)
        self._incoming = None
        self._stop_waiting()

    # The listener calls these.

    def answer(self, answer: Answer) -> None:
        """Sends the answer to the request that the listener was given."""
        assert self._current is not None
        self._listener.hold(-len(self._current.body))
        has_body = self._current.method != "HEAD"
        self._current = None
        if not self._transport.is_closing():
            self._send(answer, has_body=has_body)

    def abort(self) -> None:
        """Ends the connection at once, without a word."""
        self._forget_requests()
        self._stop_waiting()
        self._transport.abort()

    @property
    def held_bytes(self) -> int:
        """Bytes of bodies that are not answered."""
        return sum(len(request.body) for request in self._unanswered())

    def drain(self) -> None:
        """Ends the connection after the answers that it owes."""
        self._closes = True
        if not self._current and self._incoming is None and not self._has_unsent:
            self._transport.close()

    def _check_head(self, request: Request) -> None:
        """Raises Refused for what HTTP or a bound of ours forbids."""
        if request.version not in ("1.0", "1.1"):
            raise Refused(ProblemCode.BAD_REQUEST)
        lengths = (len(name) + len(value) for name, value in request.headers)
        if len(request.target) + sum(lengths) > self._limits.head_bytes:
            raise Refused(ProblemCode.HEAD_TOO_LARGE)
        given = [(name.lower(), value) for name, value in request.headers]
        hosts = sum(name == b"host" for name, _ in given)
        if hosts > 1 or (hosts == 0 and request.version == "1.1"):
            raise Refused(ProblemCode.BAD_REQUEST)
        whole = _WHOLE.match(request.target)
        if whole:
            request.target = b"/" + request.target[whole.end() :]
        if not request.target.startswith(b"/"):
            raise Refused(ProblemCode.BAD_REQUEST)
        self._max_body = self._listener.max_body(request.target)
        for name, value in given:
            # The parser has seen to it that it is a number.
            if name == b"content-length" and int(value) > self._max_body:
                raise Refused(ProblemCode.BODY_TOO_LARGE)
            # Of a body that is compressed as well, nobody here undoes that.
            if name == b"transfer-encoding" and value.lower() != b"chunked":
                raise Refused(ProblemCode.BAD_REQUEST)
        expects = (b"expect", b"100-continue")
        if any((name, value.lower()) == expects for name, value in given):
            if request.version == "1.1" and not self._current and not self._due:
                self._transport.write(_CONTINUE)

    def _check_framing(self, count: int) -> None:
        """Raises Refused where all that is no body takes too much: a head that has no
        end, the sizes and extensions of chunks, trailers.

        The first part of a request may have come with the end of something else.
        """
        if self._incoming is None:
            return
        self._read_bytes += count
        body = len(self._incoming.body)
        # The smallest chunk has five bytes of framing for one of the body.
        if self._read_bytes - body > self._limits.head_bytes + count + 5 * body:
            raise Refused(ProblemCode.HEAD_TOO_LARGE)

    def _answer_next(self) -> None:
        """Begins with the next answer, where one is due and none is on its way."""
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
        """After an answer was sent completely."""
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
        """Ends the reading; the refusal is sent after the answers before it."""
        self._listener.count_refusal(code)
        if self._incoming is not None:
            self._listener.hold(-len(self._incoming.body))
        self._incoming = None
        self._parser = None
        self._stop_waiting()
        self._due.append(
            Request(self._server, self._client, closes=True, refused_as=code)
        )

    def _time_out(self) -> None:
        """The client was too slow with a request."""
        self._refuse(ProblemCode.REQUEST_TIMEOUT)
        self._answer_next()

    def _linger(self) -> None:
        """Closes once the client has read the last answer.

        Closed at once, with a part of its request unread, the system would reset the
        connection, and the client would lose the answer (RFC 9112, section 9.6).
        """
        if self._client_has_ended:
            self._transport.close()
            return
        self._wait(self._limits.linger_seconds, self.abort)
        self._transport.resume_reading()
        try:
            self._transport.write_eof()
        except OSError:  # it is gone
            self.abort()

    def _unanswered(self) -> Iterator[Request]:
        """Requests that no thread has yet, an incomplete one included."""
        if self._incoming is not None:
            yield self._incoming
        yield from self._due

    def _forget_requests(self) -> None:
        self._listener.hold(-self.held_bytes)
        self._incoming = None
        self._due.clear()

    def _wait(self, seconds: float, then: Callable[[], object]) -> None:
        """Gives the client so long for its next step."""
        self._stop_waiting()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)
        self._listener.waiting[self] = None

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            del self._listener.waiting[self]
