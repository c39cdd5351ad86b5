"""
Answers of the gateway's own making.

What a homeserver reads is the status; what its operator reads is C{error},
C{phase} and C{attempts}.  Synapse's own proxy calls the text C{err}, the
Matrix specification C{error}: both are there.
"""

from __future__ import annotations


import attrs

from .._failures import to_json
from ..errors import FederationError

OUTCOMES = (
    "ok",
    "failed",
    "late",
    "broken",
    "gone",
    "refused",
    "unauthorised",
    "busy",
    "draining",
    "internal",
    "page",
)
"""
How a request ends: its response was forwarded; the remote was not reached, or
had no response; something took longer than its limit; a response that was
begun was not finished by the remote; the client went away; the request is
none that the gateway forwards; its secret is missing or wrong; a limit was
reached; the gateway stops; the gateway itself is at fault; it was for one of
the gateway's own pages.
"""

MAXIMUM_BODY = 16 * 1024
"""
Bytes of an answer that tells of attempts.
"""

_MAXIMUM_TEXT = 2000
_JSON = (b"Content-Type", b"application/json")
# RFC 9110, section 15.5.6: a 405 names the methods there are.
_METHODS = (b"Allow", b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")


@attrs.frozen
class Answer:
    """
    An answer of the gateway's own making, whole.

    @ivar code: the status.
    @ivar headers: without C{Content-Length} and C{Connection}.
    @ivar outcome: one of L{OUTCOMES}.
    @ivar phase: of the C{FederationError}, where there is one.
    @ivar reason: for the log, where the request was refused or failed.
    """

    code: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    outcome: str
    phase: str = ""
    reason: str = ""


def malformed(reason: str) -> Answer:
    """
    Answer what is no request.
    """
    return _refused(400, "M_UNKNOWN", f"malformed request: {reason}")


def too_large(limit: int) -> Answer:
    """
    Answer a body that is too long.

    @param limit: in bytes.
    """
    return _refused(413, "M_TOO_LARGE", f"the body of the request is longer than {limit} bytes")


def head_too_large(limit: int) -> Answer:
    """
    Answer a head that is too long (RFC 6585, section 5).

    @param limit: in bytes.
    """
    return _refused(431, "M_TOO_LARGE", f"the head of the request is longer than {limit} bytes")


def late_head() -> Answer:
    """
    Answer a client that does not finish the head of its request.
    """
    return _error(408, "M_UNKNOWN", "the head of the request took too long", "late")


def late_body() -> Answer:
    """
    Answer a client that does not go on with the body of its request.
    """
    return _error(408, "M_UNKNOWN", "the body of the request took too long", "late")


def unsupported_version() -> Answer:
    """
    Answer another version of HTTP than 1.
    """
    return _refused(505, "M_UNKNOWN", "the gateway speaks HTTP/1.1")


def unsupported_coding() -> Answer:
    """
    Answer another transfer coding than chunked (RFC 9112, section 6.1).
    """
    return _refused(501, "M_UNKNOWN", "the only transfer coding is chunked")


def unauthorised(reason: str, header: str) -> Answer:
    """
    Answer a request without the secret: with the texts of Synapse's proxy,
    which are 401 and not 407.

    @param reason: as L{Secret.check
        <matrix_federation_agent._gateway.secret.Secret.check>} gives it.
    @param header: in which the secret has to be.
    """
    code = "M_MISSING_TOKEN" if reason == "Missing" else "M_UNAUTHORIZED"
    plural = "s" if reason == "Too many" else ""
    challenge = ((b"WWW-Authenticate", b"Bearer"),) if header == "Authorization" else ()
    return _error(401, code, f"{reason} {header} header{plural}.", "unauthorised", headers=challenge)


def refused_target(error: FederationError) -> Answer:
    """
    Answer a target that cannot be forwarded.
    """
    raise NotImplementedError


def busy(retry_after: int, reason: str = "too many requests are under way") -> Answer:
    """
    Answer when a limit was reached.

    @param retry_after: in seconds.
    """
    return _error(503, "M_UNKNOWN", reason, "busy", headers=(_retry(retry_after),))


def draining(retry_after: int) -> Answer:
    """
    Answer when the gateway stops.

    @param retry_after: in seconds.
    """
    return _error(503, "M_UNKNOWN", "the gateway is about to stop", "draining", headers=(_retry(retry_after),))


def deadline(server_name: str, seconds: float) -> Answer:
    """
    Answer when a remote had no response in time.

    @param seconds: for which it was waited.
    """
    raise NotImplementedError


def _retry(seconds: int) -> tuple[bytes, bytes]:
    return b"Retry-After", b"%d" % seconds


def _refused(code: int, errcode: str, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    return _error(code, errcode, text, "refused", headers=headers)


def _error(
    code: int, errcode: str, text: str, outcome: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Answer:
    document = {"errcode": errcode, "err": text, "error": text}
    return Answer(code, to_json(document, None).encode("ascii"), (_JSON, *headers), outcome, reason=text)
