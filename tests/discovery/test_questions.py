"""
Tests of C{matrix_federation_agent._discovery.questions}.
"""

from __future__ import annotations

from twisted.names import dns

from matrix_federation_agent._discovery.questions import MAXIMUM_RECORDS, Question, read_message
from tests.case import TestCase
from tests.discovery.kit import ipv4, soa

LONGEST = b".".join([b"a" * 63] * 3 + [b"a" * 61])
QUESTION = Question.of(b"ex.com", dns.SRV, dns.IN)
IDENTIFIER = 0x4142


def response(answers: int = 1, *, name: bytes = b"ex.com", **changed: int) -> bytes:
    """
    Write a response to the question, of addresses and an SOA record.
    """
    message = dns.Message(IDENTIFIER, answer=1, recDes=1, recAv=1, maxSize=0)
    for key, value in changed.items():
        setattr(message, key, value)
    message.queries = [dns.Query(name, dns.SRV, dns.IN)]
    message.answers = [ipv4("ex.com", "192.0.2.1", 60)] * answers
    message.authority = [soa(1, 1)]
    return message.toStr()


class QuestionTests(TestCase):
    """
    L{Question}.
    """

    def test_it_is_sent_as_twisted_would(self) -> None:
        """
        The query is the one that C{twisted.names} writes.
        """
        message = dns.Message(4711, recDes=1)
        message.queries = [dns.Query(b"_x._tcp.ex.com", dns.SRV, dns.CH)]
        self.assertEqual(Question.of(b"_x._tcp.ex.com", dns.SRV, dns.CH).sent_as(4711), message.toStr())

    def test_names(self) -> None:
        """
        A final dot does not matter, and names may be as long as DNS allows.
        """
        table = {
            b"": b"\0",
            b".": b"\0",
            b"a": b"\1a\0",
            b"a.": b"\1a\0",
            b"a" * 63: b"\x3f" + b"a" * 63 + b"\0",
            LONGEST: (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"a" * 61 + b"\0",
        }
        self.assertEqual({name: Question.of(name, dns.A, dns.IN).name for name in table}, table)

    def test_names_that_cannot_be(self) -> None:
        """
        Empty and long labels, and long names, are said not to exist.
        """
        for name in [b"..", b".a", b"a..b", b"a..", b"a" * 64, LONGEST + b"a", b"a." * 127 + b"a"]:
            self.assertRaises(dns.DomainError, Question.of, name, dns.A, dns.IN)

    def test_the_answer(self) -> None:
        """
        A response to the question is the answer, whatever its case, flags and records.
        """
        for message in [response(), response(0), response(name=b"EX.cOm"), response(rCode=3, trunc=1, auth=1)]:
            self.assertTrue(QUESTION.answered_by(message, IDENTIFIER))
        self.assertTrue(Question.of(b"Ex.com", dns.SRV, dns.IN).answered_by(response(), IDENTIFIER))

    def test_other_messages(self) -> None:
        """
        Whatever differs in identifier, direction, kind or question is not.
        """
        right = response()
        others = {
            "identifier": response(id=IDENTIFIER ^ 1),
            "a query": response(answer=0),
            "operation": response(opCode=dns.OP_STATUS),
            "name": response(name=b"ex.con"),
            "longer name": response(name=b"ex.com.x"),
            "shorter name": response(name=b"com"),
            "type": right.replace(b"\0\x21\0\1", b"\0\1\0\1", 1),
            "class": right.replace(b"\0\x21\0\1", b"\0\x21\0\3", 1),
            "no question": right[:4] + b"\0\0" + right[6:],
            "two questions": right[:4] + b"\0\2" + right[6:],
            "cut": right[:23],
            "header": right[:12],
            "nothing": b"",
        }
        self.assertEqual([key for key, message in others.items() if QUESTION.answered_by(message, IDENTIFIER)], [])


class ReadingTests(TestCase):
    """
    L{read_message}.
    """

    def numbers(self, message: bytes) -> tuple[int, int] | None:
        """
        Count the answers, and what is in the authority section.
        """
        read = read_message(message)
        return None if read is None else (len(read.answers), len(read.authority))

    def test_sections(self) -> None:
        """
        A message is read as a whole.
        """
        self.assertEqual(self.numbers(response(2)), (2, 1))

    def test_many_records(self) -> None:
        """
        As many records as are considered are read, and no further section after them.
        """
        found = [self.numbers(response(number)) for number in (MAXIMUM_RECORDS, MAXIMUM_RECORDS + 1)]
        self.assertEqual(found, [(MAXIMUM_RECORDS, 1), (MAXIMUM_RECORDS, 0)])

    def test_cut_messages(self) -> None:
        """
        A message that ends before its records do is none.
        """
        whole = response()
        self.assertEqual({self.numbers(whole[:end]) for end in range(24, len(whole))}, {None})

    def test_a_name_that_leads_to_itself(self) -> None:
        """
        Names without an end are malformed.
        """
        whole = response()
        self.assertIs(self.numbers(whole[:24] + b"\xc0\x18" + whole[26:]), None)
