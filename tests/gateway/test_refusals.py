"""
Tests of C{matrix_federation_agent._gateway.refusals}.
"""

from __future__ import annotations

from matrix_federation_agent._gateway import refusals
from matrix_federation_agent._gateway.reading import Refused
from matrix_federation_agent._gateway.refusals import answer_to

from .answer_kit import AnswerCase

# An answer, its status, its errcode and its outcome.
REFUSALS = [
    (refusals.malformed("a line that is no header"), 400, "M_UNKNOWN", "refused"),
    (refusals.too_large(5), 413, "M_TOO_LARGE", "refused"),
    (refusals.head_too_large(5), 431, "M_TOO_LARGE", "refused"),
    (refusals.late_head(), 408, "M_UNKNOWN", "late"),
    (refusals.late_body(), 408, "M_UNKNOWN", "late"),
    (refusals.unsupported_version(), 505, "M_UNKNOWN", "refused"),
    (refusals.unsupported_coding(), 501, "M_UNKNOWN", "refused"),
    (answer_to(Refused(400, "why")), 400, "M_UNKNOWN", "refused"),
    (answer_to(Refused(417, "why")), 417, "M_UNKNOWN", "refused"),
    (answer_to(Refused(431, "why", 5)), 431, "M_TOO_LARGE", "refused"),
    (answer_to(Refused(431, "more than 5 lines")), 431, "M_UNKNOWN", "refused"),
    (answer_to(Refused(501, "why")), 501, "M_UNKNOWN", "refused"),
    (answer_to(Refused(505, "why")), 505, "M_UNKNOWN", "refused"),
]


class RefusalTests(AnswerCase):
    """
    What is not accepted as a request.
    """

    def test_each_has_its_status(self) -> None:
        """
        And says what was wrong.
        """
        self.check(REFUSALS)

    def test_they_name_the_limit(self) -> None:
        """
        In bytes.
        """
        found = [self.read(answer)["error"] for answer in (refusals.too_large(5), answer_to(Refused(431, "why", 6)))]
        self.assertEqual(["5 bytes" in found[0], "6 bytes" in found[1]], [True, True])
