"""
Answers of the gateway's own making.

What a homeserver reads is the status; what its operator reads is C{error},
C{phase} and C{attempts}.  Synapse's own proxy calls the text C{err}, the
Matrix specification C{error}: both are there.
"""

from __future__ import annotations

import attrs

from .._failures import to_json

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

JSON = (b"Content-Type", b"application/json")
"""
The header of an answer in JSON.
"""

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
    return error_answer(401, code, f"{reason} {header} header{plural}.", "unauthorised", *challenge)


def refused_target(reason: str, errcode: str = "M_INVALID_PARAM") -> Answer:
    """
    Answer a target that cannot be forwarded.
    """
    return refusal(400, errcode, reason)


def forbidden_scheme() -> Answer:
    """
    Answer an C{https} target where those are not forwarded.
    """
    return refusal(403, "M_FORBIDDEN", "https targets are not allowed here")


def no_tunnel() -> Answer:
    """
    Answer CONNECT: the gateway makes requests, not tunnels.
    """
    return refusal(405, "M_UNRECOGNIZED", "CONNECT is not supported", (b"Allow", _METHODS))


def busy(retry_after: int, reason: str = "too many requests are under way") -> Answer:
    """
    Answer when a limit was reached.

    @param retry_after: in seconds.
    """
    return error_answer(503, "M_UNKNOWN", reason, "busy", come_again(retry_after))


def draining(retry_after: int) -> Answer:
    """
    Answer when the gateway stops.

    @param retry_after: in seconds.
    """
    return error_answer(503, "M_UNKNOWN", "the gateway is about to stop", "draining", come_again(retry_after))


def no_page() -> Answer:
    """
    Answer a path at which the gateway has nothing.
    """
    return refusal(404, "M_UNRECOGNIZED", "there is no such page")


def wrong_method(allowed: bytes) -> Answer:
    """
    Answer a request for a page with a method that it does not have.

    @param allowed: those that it has.
    """
    return refusal(405, "M_UNRECOGNIZED", "the page does not have this method", (b"Allow", allowed))


def bad_parameter(reason: str) -> Answer:
    """
    Answer a request for a page whose query is not usable.
    """
    return refusal(400, "M_INVALID_PARAM", reason)


def no_metrics(missing: str) -> Answer:
    """
    Answer when there is nothing to write metrics with.

    @param missing: what has to be installed.
    """
    return refusal(501, "M_UNKNOWN", f"metrics need {missing}")


def page(code: int, document: object) -> Answer:
    """
    Answer with a page.

    @param document: becomes JSON.
    """
    return Answer(code, to_json(document, None).encode("ascii"), (JSON,), "page")


def text_page(text: bytes, content_type: bytes) -> Answer:
    """
    Answer with a page that is no JSON.
    """
    return Answer(200, text, ((b"Content-Type", content_type),), "page")


def internal() -> Answer:
    """
    Answer when the gateway itself is at fault: its log says more.
    """
    return error_answer(500, "M_UNKNOWN", "internal error", "internal")


def come_again(seconds: int) -> tuple[bytes, bytes]:
    """
    Write the header that says when to come again.
    """
    return b"Retry-After", b"%d" % seconds


def refusal(code: int, errcode: str, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    """
    Answer what is not done.

    @param headers: besides C{Content-Type}.
    """
    return error_answer(code, errcode, text, "refused", *headers)


def error_answer(code: int, errcode: str, text: str, outcome: str, *headers: tuple[bytes, bytes]) -> Answer:
    """
    Answer with an error.

    @param headers: besides C{Content-Type}.
    """
    document = {"errcode": errcode, "err": text, "error": text}
    return Answer(code, to_json(document, None).encode("ascii"), (JSON, *headers), outcome, reason=text)
