"""
Reads answers of the gateway's own making.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from matrix_federation_agent._gateway.answers import OUTCOMES, Answer
from tests.case import TestCase


class AnswerCase(TestCase):
    """
    Looks at answers as a homeserver does.
    """

    def read(self, answer: Answer) -> dict[str, Any]:
        """
        Read the body of an answer, which says that it is JSON: Synapse insists on it.
        """
        types = [value for name, value in answer.headers if name == b"Content-Type"]
        self.assertEqual(types, [b"application/json"])
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def check(self, answers: Iterable[tuple[Answer, int, str, str]]) -> None:
        """
        Compare answers with the status, the errcode and the outcome that they should have; what they say is there under
        both names and in the log, and metrics know the outcome.
        """
        for answer, *expected in answers:
            told = self.read(answer)
            self.assertEqual([answer.code, told["errcode"], answer.outcome], expected)
            self.assertEqual((told["err"], answer.reason), (told["error"], told["error"]))
            self.assertIn(answer.outcome, OUTCOMES)
