"""
Tests of C{matrix_federation_agent._gateway.answers} and of what they tell of failures.
"""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import Any

from matrix_federation_agent._gateway import answers
from matrix_federation_agent._gateway.answers import OUTCOMES, Answer
from matrix_federation_agent._gateway.description import MAXIMUM_BODY
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
from tests.case import TestCase

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

# Answers that need no failure: status, errcode and outcome.
OTHERS = [
    (answers.malformed("a line that is no header"), 400, "M_UNKNOWN", "refused"),
    (answers.too_large(5), 413, "M_TOO_LARGE", "refused"),
    (answers.head_too_large(5), 431, "M_TOO_LARGE", "refused"),
    (answers.late_head(), 408, "M_UNKNOWN", "late"),
    (answers.late_body(), 408, "M_UNKNOWN", "late"),
    (answers.unsupported_version(), 505, "M_UNKNOWN", "refused"),
    (answers.unsupported_coding(), 501, "M_UNKNOWN", "refused"),
    (answers.busy(5), 503, "M_UNKNOWN", "busy"),
    (answers.draining(5), 503, "M_UNKNOWN", "draining"),
    (answers.cancelled(5), 503, "M_UNKNOWN", "gone"),
    (answers.deadline("ex.com", 90.0), 504, "M_UNKNOWN", "late"),
    (answers.internal(), 500, "M_UNKNOWN", "internal"),
    (answers.no_page(), 404, "M_UNRECOGNIZED", "refused"),
    (answers.wrong_method(b"GET, HEAD"), 405, "M_UNRECOGNIZED", "refused"),
    (answers.bad_parameter("why"), 400, "M_INVALID_PARAM", "refused"),
    (answers.no_metrics("that"), 501, "M_UNKNOWN", "refused"),
]

# Section 3: what is wrong, the errcode and the text.
UNAUTHORISED = [
    ("Missing", "M_MISSING_TOKEN", "Missing Proxy-Authorization header."),
    ("Invalid", "M_UNAUTHORIZED", "Invalid Proxy-Authorization header."),
    ("Too many", "M_UNAUTHORIZED", "Too many Proxy-Authorization headers."),
]


def read(answer: Answer) -> dict[str, Any]:
    """
    Read the body of an answer.
    """
    found: dict[str, Any] = json.loads(answer.body)
    return found


def attempt(reason: str) -> Attempt:
    """
    Make an attempt that failed.
    """
    return Attempt("ex.com:8448", "192.0.2.1", ConnectionFailed("ex.com", reason))


class FailureTests(TestCase):
    """
    L{answers.failed}.
    """

    def test_G6_failures(self) -> None:
        """
        The status tells a homeserver what to do, phase and outcome tell an operator whose fault it is.
        """
        for error, code, errcode, outcome, phase, retry in FAILURES:
            answer = answers.failed(error, "ex.com", 7)
            found = (answer.code, read(answer)["errcode"], answer.outcome, answer.phase)
            self.assertEqual(found, (code, errcode, outcome, phase), error)
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
        self.assertEqual(read(answers.failed(error, "ex.com", 5)), expected)

    def test_faults_of_our_own_are_not_told(self) -> None:
        """
        Neither the message nor a traceback leaves the house.
        """
        answer = answers.failed(RuntimeError("secret thing"), "ex.com", 5)
        self.assertEqual((read(answer)["error"], "secret" in repr(answer)), ("internal error", False))

    def test_attempts_are_bounded(self) -> None:
        """
        Those for which there is no room are counted, and as many as possible are told.
        """
        attempts = tuple(attempt("x" * 900) for _ in range(30))
        answer = answers.failed(ConnectionFailed("ex.com", "all failed", attempts=attempts), "ex.com", 5)
        told = read(answer)
        self.assertEqual(len(told["attempts"]) + told["attempts_left_out"], 30)
        self.assertTrue(MAXIMUM_BODY - 1100 < len(answer.body) <= MAXIMUM_BODY, len(answer.body))

    def test_the_bound_is_kept_and_used(self) -> None:
        """
        Whatever the length of the attempts, with all that stands between them.
        """
        longest = 0
        for length in range(1, 400, 3):
            error = ConnectionFailed("ex.com", "all failed", attempts=(attempt("x" * length),) * 200)
            longest = max(longest, len(answers.failed(error, "ex.com", 5).body))
        self.assertTrue(MAXIMUM_BODY - 16 < longest <= MAXIMUM_BODY, longest)

    def test_where_there_is_room_nothing_is_left_out(self) -> None:
        """
        No key says so then.
        """
        error = ConnectionFailed("ex.com", "all failed", attempts=(attempt("a"), attempt("b")))
        told = read(answers.failed(error, "ex.com", 5))
        self.assertEqual((len(told["attempts"]), "attempts_left_out" in told), (2, False))

    def test_a_long_text_is_bounded(self) -> None:
        """
        Also where every character takes six bytes.
        """
        answer = answers.failed(ResponseFailed("ex.com", "\x1b" * 100_000), "ex.com", 5)
        self.assertEqual(
            (len(read(answer)["error"]), len(answer.reason), len(answer.body) < MAXIMUM_BODY), (1003, 1003, True)
        )

    def test_it_is_visible_ascii(self) -> None:
        """
        Whatever a remote said.
        """
        answer = answers.failed(FederationError("ex.com", "\x1b[31m\x7f\xe9\n"), "ex.com", 5)
        self.assertEqual([byte for byte in answer.body if not 0x20 <= byte <= 0x7E], [])

    def test_the_deadline(self) -> None:
        """
        It says how long it was waited for whom.
        """
        told = read(answers.deadline("ex.com", 90.0))
        expected = ("no response within 90 seconds", "ex.com", "http")
        self.assertEqual((told["error"], told["server_name"], told["phase"]), expected)


class OtherAnswerTests(TestCase):
    """
    Answers that need no failure.
    """

    def test_each_has_its_status(self) -> None:
        """
        And C{err} beside C{error}.
        """
        for answer, code, errcode, outcome in OTHERS:
            told = read(answer)
            self.assertEqual((answer.code, told["errcode"], answer.outcome), (code, errcode, outcome))
            self.assertEqual((told["err"], answer.reason), (told["error"], told["error"]))

    def test_they_are_json(self) -> None:
        """
        Synapse insists on it.
        """
        every = [answer for answer, *_ in OTHERS] + [answers.failed(error, "ex.com", 5) for error, *_ in FAILURES]
        every += [answers.page(200, {}), answers.unauthorised("Missing", "Authorization")]
        found = [[value for name, value in answer.headers if name == b"Content-Type"] for answer in every]
        self.assertEqual(found, [[b"application/json"]] * len(every))

    def test_outcomes_are_of_the_list(self) -> None:
        """
        Metrics begin with it.
        """
        found = {answer.outcome for answer, *_ in OTHERS} | {outcome for *_, outcome, _, _ in FAILURES}
        self.assertEqual(found - {*OUTCOMES}, set())

    def test_G3_texts(self) -> None:
        """
        Those of Synapse's proxy, which are no challenge.
        """
        for reason, errcode, text in UNAUTHORISED:
            answer = answers.unauthorised(reason, "Proxy-Authorization")
            told = {"errcode": errcode, "err": text, "error": text}
            found = (answer.code, read(answer), answer.headers, answer.outcome)
            self.assertEqual(found, (401, told, ((b"Content-Type", b"application/json"),), "unauthorised"))

    def test_pages_challenge(self) -> None:
        """
        RFC 9110, section 11.6.1: a 401 has a challenge.
        """
        answer = answers.unauthorised("Missing", "Authorization")
        self.assertEqual(
            (read(answer)["error"], answer.headers[1:]),
            ("Missing Authorization header.", ((b"WWW-Authenticate", b"Bearer"),)),
        )

    def test_when_to_come_again(self) -> None:
        """
        In whole seconds.
        """
        found = [answer.headers[1:] for answer in (answers.busy(5), answers.draining(0), answers.cancelled(7))]
        self.assertEqual(found, [((b"Retry-After", b"%d" % seconds),) for seconds in (5, 0, 7)])

    def test_what_a_page_allows(self) -> None:
        """
        RFC 9110, section 15.5.6.
        """
        self.assertEqual(answers.wrong_method(b"POST").headers[1:], ((b"Allow", b"POST"),))
