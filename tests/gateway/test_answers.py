"""
Tests of C{matrix_federation_agent._gateway.answers}.
"""

from __future__ import annotations

from matrix_federation_agent._gateway import answers

from .answer_kit import AnswerCase

# An answer, its status, its errcode and its outcome.
ANSWERS = [
    (answers.refused_target("why"), 400, "M_INVALID_PARAM", "refused"),
    (answers.refused_target("why", "M_UNRECOGNIZED"), 400, "M_UNRECOGNIZED", "refused"),
    (answers.forbidden_scheme(), 403, "M_FORBIDDEN", "refused"),
    (answers.no_tunnel(), 405, "M_UNRECOGNIZED", "refused"),
    (answers.busy(5), 503, "M_UNKNOWN", "busy"),
    (answers.draining(5), 503, "M_UNKNOWN", "draining"),
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


class AnswerTests(AnswerCase):
    """
    Answers that need no failure.
    """

    def test_each_has_its_status(self) -> None:
        """
        And C{err} beside C{error}.
        """
        self.check(ANSWERS)

    def test_a_page(self) -> None:
        """
        It is JSON, and no error.
        """
        answer = answers.page(200, {"ready": True})
        self.assertEqual((self.read(answer), answer.code, answer.outcome), ({"ready": True}, 200, "page"))

    def test_G3_texts(self) -> None:
        """
        Those of Synapse's proxy, which are no challenge.
        """
        for reason, errcode, text in UNAUTHORISED:
            answer = answers.unauthorised(reason, "Proxy-Authorization")
            told = {"errcode": errcode, "err": text, "error": text}
            found = (answer.code, self.read(answer), answer.headers, answer.outcome)
            self.assertEqual(found, (401, told, ((b"Content-Type", b"application/json"),), "unauthorised"))

    def test_pages_challenge(self) -> None:
        """
        RFC 9110, section 11.6.1: a 401 has a challenge.
        """
        answer = answers.unauthorised("Missing", "Authorization")
        self.assertEqual(
            (self.read(answer)["error"], answer.headers[1:]),
            ("Missing Authorization header.", ((b"WWW-Authenticate", b"Bearer"),)),
        )

    def test_when_to_come_again(self) -> None:
        """
        In whole seconds.
        """
        found = [answer.headers[1:] for answer in (answers.busy(5), answers.draining(0))]
        self.assertEqual(found, [((b"Retry-After", b"%d" % seconds),) for seconds in (5, 0)])

    def test_what_a_page_allows(self) -> None:
        """
        RFC 9110, section 15.5.6.
        """
        self.assertEqual(answers.wrong_method(b"POST").headers[1:], ((b"Allow", b"POST"),))
