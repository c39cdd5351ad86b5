"""
Tests of C{matrix_federation_agent._gateway.failures}.
"""

from __future__ import annotations

from ipaddress import ip_network

from matrix_federation_agent._gateway import failures
from matrix_federation_agent._gateway.failures import MAXIMUM_BODY
from matrix_federation_agent.errors import (
    AddressDenied,
    AgentClosed,
    Attempt,
    CertificateRejected,
    ConnectionFailed,
    FederationError,
    InvalidRequest,
    ProxyError,
    ResolutionFailed,
    ResponseFailed,
    TimedOut,
)

from .answer_kit import AnswerCase

DENIED = AddressDenied.by("ex.com", "10.0.0.1", ip_network("10.0.0.0/8"))

# What failed; status, errcode, outcome and phase of the answer, and whether it says when to come again.
FAILURES: list[tuple[BaseException, int, str, str, str, bool]] = [
    (ResolutionFailed("ex.com", "no such name"), 502, "M_UNKNOWN", "failed", "dns", False),
    (ConnectionFailed("ex.com", "refused"), 502, "M_UNKNOWN", "failed", "tcp", False),
    (CertificateRejected("ex.com", "expired"), 502, "M_UNKNOWN", "failed", "tls", False),
    (ProxyError("ex.com", "refused"), 502, "M_UNKNOWN", "failed", "proxy", False),
    (ResponseFailed("ex.com", "closed early"), 502, "M_UNKNOWN", "failed", "http", False),
    (TimedOut("ex.com", "no response", phase="http"), 504, "M_UNKNOWN", "late", "http", False),
    (TimedOut("ex.com", "no address", phase="dns"), 504, "M_UNKNOWN", "late", "dns", False),
    (TimedOut("ex.com", "no free connection", phase="pool"), 503, "M_UNKNOWN", "busy", "pool", True),
    (DENIED, 403, "M_FORBIDDEN", "refused", "policy", False),
    (InvalidRequest("ex.com", "no token"), 400, "M_INVALID_PARAM", "refused", "uri", False),
    (AgentClosed("ex.com"), 503, "M_UNKNOWN", "draining", "pool", True),
    (RuntimeError("secret thing"), 500, "M_UNKNOWN", "internal", "", False),
]


def attempt(reason: str) -> Attempt:
    """
    Make an attempt that failed.
    """
    return Attempt("ex.com:8448", "192.0.2.1", ConnectionFailed("ex.com", reason))


class FailureTests(AnswerCase):
    """
    L{failures.failed}.
    """

    def test_G6_failures(self) -> None:
        """
        The status tells a homeserver what to do, phase and outcome tell an operator whose fault it is.
        """
        for error, code, errcode, outcome, phase, retry in FAILURES:
            answer = failures.failed(error, "ex.com", 7)
            self.check([(answer, code, errcode, outcome)])
            self.assertEqual(answer.phase, phase, error)
            self.assertEqual((b"Retry-After", b"7") in answer.headers, retry, error)

    def test_the_whole_description(self) -> None:
        """
        Everything that the error knows, and the text under both names.
        """
        error = DENIED.concerning("delegated.ex.com", "", (Attempt("ex.com:8448", "10.0.0.1", DENIED),))
        reason = "address 10.0.0.1 was refused by the address policy (it lies in 10.0.0.0/8)"
        tried = {"address": "10.0.0.1", "type": "AddressDenied", "phase": "policy", "reason": reason}
        expected = {
            "errcode": "M_FORBIDDEN",
            "err": reason,
            "error": reason,
            "phase": "policy",
            "server_name": "ex.com",
            "attempts": [{"target": "ex.com:8448", **tried}],
        }
        self.assertEqual(self.read(failures.failed(error, "ex.com", 5)), expected)

    def test_faults_of_our_own_are_not_told(self) -> None:
        """
        Neither the message nor a traceback leaves the house.
        """
        answer = failures.failed(RuntimeError("secret thing"), "ex.com", 5)
        self.assertEqual((self.read(answer)["error"], "secret" in repr(answer)), ("internal error", False))

    def test_attempts_are_bounded(self) -> None:
        """
        Those for which there is no room are counted, and as many as possible are told.
        """
        attempts = tuple(attempt("x" * 900) for _ in range(30))
        answer = failures.failed(ConnectionFailed("ex.com", "all failed", attempts=attempts), "ex.com", 5)
        told = self.read(answer)
        self.assertEqual(len(told["attempts"]) + told["attempts_left_out"], 30)
        self.assertTrue(MAXIMUM_BODY - 1100 < len(answer.body) <= MAXIMUM_BODY, len(answer.body))

    def test_the_bound_is_kept_and_used(self) -> None:
        """
        Whatever the length of the attempts, with all that stands between them.
        """
        longest = 0
        for length in range(1, 400, 3):
            error = ConnectionFailed("ex.com", "all failed", attempts=(attempt("x" * length),) * 200)
            longest = max(longest, len(failures.failed(error, "ex.com", 5).body))
        self.assertTrue(MAXIMUM_BODY - 16 < longest <= MAXIMUM_BODY, longest)

    def test_where_there_is_room_nothing_is_left_out(self) -> None:
        """
        No key says so then.
        """
        error = ConnectionFailed("ex.com", "all failed", attempts=(attempt("a"), attempt("b")))
        told = self.read(failures.failed(error, "ex.com", 5))
        self.assertEqual((len(told["attempts"]), "attempts_left_out" in told), (2, False))

    def test_a_long_text_is_bounded(self) -> None:
        """
        Also where every character takes six bytes.
        """
        answer = failures.failed(ResponseFailed("ex.com", "\x1b" * 100_000), "ex.com", 5)
        self.assertEqual(
            (len(self.read(answer)["error"]), len(answer.reason), len(answer.body) < MAXIMUM_BODY), (1003, 1003, True)
        )

    def test_it_is_visible_ascii(self) -> None:
        """
        Whatever a remote said.
        """
        answer = failures.failed(FederationError("ex.com", "\x1b[31m\x7f\xe9\n"), "ex.com", 5)
        self.assertEqual([byte for byte in answer.body if not 0x20 <= byte <= 0x7E], [])

    def test_the_deadline(self) -> None:
        """
        It says how long it was waited for whom.
        """
        told = self.read(failures.deadline("ex.com", 90.0))
        expected = ("no response within 90 seconds", "ex.com", "http")
        self.assertEqual((told["error"], told["server_name"], told["phase"]), expected)

    def test_it_was_cancelled(self) -> None:
        """
        A client that is still there may come again.
        """
        answer = failures.cancelled(7)
        self.check([(answer, 503, "M_UNKNOWN", "gone")])
        self.assertEqual(answer.headers[1:], ((b"Retry-After", b"7"),))
