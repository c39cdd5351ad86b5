"""
Bodies of responses, read to their end or not at all.

They take the responses of any agent, treq's among them.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from ._http.failures import words
from ._uri import parse_uri
from .errors import BodyTooLong, FederationError, ResponseFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.web.iweb import IResponse


def read_body(response: IResponse, max_bytes: int) -> Deferred[bytes]:
    """
    Read the body of a response, which may not be longer than a limit.

    @param response: of any agent; nobody else may read its body.
    @param max_bytes: the limit in bytes, as the body arrives: whatever
        C{Content-Encoding} says, nothing is unpacked.
    @return: fires with the body.  It fails with L{BodyTooLong} as soon as
        there is one byte more, or the response says so beforehand, and with
        L{ResponseFailed} when the body breaks off; the connection is then
        dropped, as it is when the Deferred is cancelled.
    """
    asked = _asked(response)
    parts: list[bytes] = []
    left = max_bytes

    def keep(data: bytes) -> None:
        nonlocal left
        left -= len(data)
        if left < 0:
            raise _too_long(asked, max_bytes)
        parts.append(data)

    if isinstance(response.length, int) and response.length > max_bytes:
        return _refused(response, _too_long(asked, max_bytes))
    return pass_on(response, asked, keep).addCallback(lambda _: b"".join(parts))


def read_json(response: IResponse, max_bytes: int) -> Deferred[Any]:
    """
    Read the body of a response as JSON (RFC 8259): in UTF-8, whatever the
    headers say, and with finite numbers.

    @param response: as for L{read_body}.
    @param max_bytes: as for L{read_body}.
    @return: fires with what the JSON says: a dictionary, a list, a string, a
        number, a boolean or C{None}.  It fails as that of L{read_body} does,
        and with L{ResponseFailed} when the body is no JSON, or is nested too
        deeply.
    """
    asked = _asked(response)
    return read_body(response, max_bytes).addCallback(lambda body: _parsed(body, asked))


def pass_on(response: IResponse, asked: str, write: Callable[[bytes], object]) -> Deferred[None]:
    """
    Write the body of a response, piece by piece, as it arrives.

    @param asked: the server that errors name.
    @param write: takes the pieces; what it raises ends the whole.
    @return: fires at the end of the body.  It fails with L{ResponseFailed}
        when the body breaks off.  Whoever gives up, by an error of C{write} or
        by cancelling, drops the connection.
    """
    reader = _Reader(asked, write)
    response.deliverBody(reader)
    return reader.done


def _refused(response: IResponse, error: BodyTooLong) -> Deferred[bytes]:
    """
    Read nothing.
    """
    refused: Deferred[bytes] = Deferred()
    reader = _Reader(error.server_name, len)
    reader.done.addErrback(lambda _: None)
    response.deliverBody(reader)
    reader.done.cancel()
    refused.errback(error)
    return refused


class _Reader(Protocol):
    """
    Passes a body on.
    """

    def __init__(self, asked: str, write: Callable[[bytes], object]) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._drop())
        self._asked = asked
        self._write = write
        self._over = False

    def dataReceived(self, data: bytes) -> None:
        """
        Pass on some of the body.
        """
        if self._over:
            return
        try:
            self._write(data)
        except Exception:  # noqa: BLE001 (whatever it is, the reader of `done` gets it)
            failure = Failure()
            self._drop()
            self.done.errback(failure)

    def _drop(self) -> None:
        """
        Read nothing more.  Not every transport of a body can be aborted; what
        a body has been read from before has none.
        """
        self._over = True
        for way in ("abortConnection", "stopProducing", "loseConnection"):
            drop = getattr(self.transport, way, None)
            if drop is not None:
                drop()
                return

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The body is complete: a response without a length ends with its
        connection (RFC 9112, section 6.3).
        """
        if self._over:
            return
        self._over = True
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(None)
            return
        # Twisted's error holds its reasons in a list.
        causes: list[Failure] = getattr(reason.value, "reasons", None) or [reason]
        error = ResponseFailed(self._asked, f"the body of the response broke off: {words(causes[0])}")
        error.__cause__ = causes[0].value
        self.done.errback(error)


def _asked(response: IResponse) -> str:
    """
    Tell which server was asked, where that can be told.
    """
    try:
        return str(parse_uri(getattr(response.request, "absoluteURI", None) or b"").authority)
    except FederationError:
        return ""


def _too_long(asked: str, limit: int) -> BodyTooLong:
    return BodyTooLong(asked, f"the body of the response is longer than {limit} bytes", limit=limit)


def _parsed(body: bytes, asked: str) -> Any:
    """
    Parse JSON.  What Python raises holds the whole body, and is not kept.
    """
    try:
        # RFC 8259, section 8.1: UTF-8; a byte order mark may be ignored.
        return json.loads(body.decode("utf-8-sig"), parse_constant=_no_number, parse_float=_finite)
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8 (at byte {error.start})"
    except json.JSONDecodeError as error:
        reason = f"{error.msg} (at character {error.pos})"
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError:
        # Python converts no integers of thousands of digits, which takes time.
        reason = "a number is none, or has no end"
    raise ResponseFailed(asked, f"the body of the response is no JSON: {reason}")


def _no_number(_constant: str) -> float:
    """
    Refuse C{NaN}, C{Infinity} and C{-Infinity} (RFC 8259, section 6).
    """
    raise ValueError


def _finite(text: str) -> float:
    """
    Refuse what is beyond the numbers of IEEE 754.
    """
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number
