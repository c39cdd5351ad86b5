"""
Answers of the gateway's own making.

What a homeserver reads is the status; what its operator reads is C{error},
C{phase} and C{attempts}.  Synapse's own proxy calls the text C{err}, the
Matrix specification C{error}: both are there.
"""

from __future__ import annotations

import attrs

from .._failures import to_json
from ..errors import AddressDenied, AgentClosed, FederationError, InvalidRequest, TimedOut
from .description import described, shortened

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

_JSON = (b"Content-Type", b"application/json")
# RFC 9110, section 15.5.6: a 405 names the methods there are.
_METHODS = b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


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


def refused_target(reason: str, errcode: str = "M_INVALID_PARAM") -> Answer:
    """
    Answer a target that cannot be forwarded.
    """
    return _refused(400, errcode, reason)


def forbidden_scheme() -> Answer:
    """
    Answer an C{https} target where those are not forwarded.
    """
    return _refused(403, "M_FORBIDDEN", "https targets are not allowed here")


def no_tunnel() -> Answer:
    """
    Answer CONNECT: the gateway makes requests, not tunnels.
    """
    return _refused(405, "M_UNRECOGNIZED", "CONNECT is not supported", (b"Allow", _METHODS))


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
    reason = f"no response within {seconds:g} seconds"
    return failed(TimedOut(server_name, reason, phase="http", seconds=seconds), server_name, 0)


def no_page() -> Answer:
    """
    Answer a path at which the gateway has nothing.
    """
    return _refused(404, "M_UNRECOGNIZED", "there is no such page")


def wrong_method(allowed: bytes) -> Answer:
    """
    Answer a request for a page with a method that it does not have.

    @param allowed: those that it has.
    """
    return _refused(405, "M_UNRECOGNIZED", "the page does not have this method", (b"Allow", allowed))


def bad_parameter(reason: str) -> Answer:
    """
    Answer a request for a page whose query is not usable.
    """
    return _refused(400, "M_INVALID_PARAM", reason)


def no_metrics(missing: str) -> Answer:
    """
    Answer when there is nothing to write metrics with.

    @param missing: what has to be installed.
    """
    return _refused(501, "M_UNKNOWN", f"metrics need {missing}")


def page(code: int, document: object) -> Answer:
    """
    Answer with a page.

    @param document: becomes JSON.
    """
    return Answer(code, to_json(document, None).encode("ascii"), (_JSON,), "page")


def text_page(text: bytes, content_type: bytes) -> Answer:
    """
    Answer with a page that is no JSON.
    """
    return Answer(200, text, ((b"Content-Type", content_type),), "page")


def internal() -> Answer:
    """
    Answer when the gateway itself is at fault: its log says more.
    """
    return _error(500, "M_UNKNOWN", "internal error", "internal")


def cancelled(retry_after: int) -> Answer:
    """
    Answer a request that was cancelled: because the client went away, or
    because the agent was closed, and then the client is there.

    @param retry_after: in seconds.
    """
    return _error(503, "M_UNKNOWN", "the request was cancelled", "gone", headers=(_retry(retry_after),))


def failed(error: BaseException, server_name: str, retry_after: int) -> Answer:
    """
    Answer a request that could not be carried out.

    @param server_name: whom it asked.
    @param retry_after: in seconds; named where the gateway has no room.
    """
    if not isinstance(error, FederationError):
        return internal()
    code, errcode, outcome = _meaning(error)
    headers = (_JSON, _retry(retry_after)) if code == 503 else (_JSON,)
    body = described(error, server_name, errcode)
    return Answer(code, body, headers, outcome, error.phase, shortened(error.reason))


def _meaning(error: FederationError) -> tuple[int, str, str]:
    """
    Find status, C{errcode} and outcome of a failure.
    """
    if isinstance(error, AddressDenied):
        return 403, "M_FORBIDDEN", "refused"
    if isinstance(error, InvalidRequest):
        return 400, "M_INVALID_PARAM", "refused"
    if isinstance(error, TimedOut):
        return (503, "M_UNKNOWN", "busy") if error.phase == "pool" else (504, "M_UNKNOWN", "late")
    if isinstance(error, AgentClosed):
        return 503, "M_UNKNOWN", "draining"
    return 502, "M_UNKNOWN", "failed"


def _retry(seconds: int) -> tuple[bytes, bytes]:
    return b"Retry-After", b"%d" % seconds


def _refused(code: int, errcode: str, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    return _error(code, errcode, text, "refused", headers=headers)


def _error(
    code: int, errcode: str, text: str, outcome: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Answer:
    document = {"errcode": errcode, "err": text, "error": text}
    return Answer(code, to_json(document, None).encode("ascii"), (_JSON, *headers), outcome, reason=text)
