"""
One line of the log for each request.

Never a header, a query or a body: a Matrix signature is in the first, access
tokens may be in the second.
"""

from __future__ import annotations

import re

import attrs
from twisted.logger import Logger

MAXIMUM_PATH = 200
"""
Characters of a path, as it is shown.
"""

_MAXIMUM_METHOD = 20
# RFC 3986, section 3: the query and the fragment come last.
_PATH_ENDS = re.compile(rb"[?#]")

_log = Logger()


@attrs.frozen
class Record:
    """
    What became of a request.

    @ivar peer: the client.
    @ivar server_name: whom it asked; empty where it was not forwarded.
    @ivar path: without the query; of a target that was not forwarded, as much
        as may be shown.
    @ivar code: the status that the client was sent, or L{None}.
    @ivar outcome: one of L{OUTCOMES
        <matrix_federation_agent._gateway.answers.OUTCOMES>}.
    @ivar phase: in which it ended, where that is known.
    @ivar received: bytes of the body of the request.
    @ivar sent: bytes of the body of the response.
    @ivar seconds: from its head to its end.
    @ivar reason: why it was refused or failed, or nothing.
    """

    peer: str
    method: bytes
    server_name: str
    path: bytes
    code: int | None
    outcome: str
    phase: str = ""
    received: int = 0
    sent: int = 0
    seconds: float = 0.0
    reason: str = ""


def log_request(record: Record) -> None:
    """
    Write the line of a request; its parts are fields of the event too.
    """
    method = printable(record.method.decode("latin-1")[:_MAXIMUM_METHOD])
    path = printable(record.path.decode("latin-1"))[:MAXIMUM_PATH]
    reason = printable(record.reason)
    line = (
        f"peer={record.peer} method={method} server_name={record.server_name} path={path} code={record.code}"
        f" outcome={record.outcome} received={record.received} sent={record.sent} seconds={record.seconds:.3f}"
        f"{record.phase and f' phase={record.phase}'}{reason and f' reason={reason}'}"
    )
    _log.info(
        # A format with a dozen fields takes Twisted three times as long as all of this.
        "{line}",
        line=line,
        peer=record.peer,
        method=method,
        server_name=record.server_name,
        path=path,
        code=record.code,
        outcome=record.outcome,
        phase=record.phase,
        received=record.received,
        sent=record.sent,
        seconds=record.seconds,
        reason=reason,
    )


def shown_target(target: bytes) -> bytes:
    """
    Cut a target that is not forwarded down to what may be shown: what stands
    before an "@" may be a password.
    """
    shown = _PATH_ENDS.split(target, 1)[0]
    before, at, after = shown.rpartition(b"@")
    return b"...@" + after if at else before + after


def printable(text: str) -> str:
    r"""
    Write whatever is not visible ASCII, or a space, as Python would in a
    literal (C{\x1b}).
    """
    return text if text.isascii() and text.isprintable() else text.encode("unicode_escape").decode("ascii")
