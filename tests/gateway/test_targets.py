"""
Tests of C{matrix_federation_agent._gateway.targets}.
"""

from __future__ import annotations

import json

from matrix_federation_agent._gateway.answers import Answer
from matrix_federation_agent._gateway.targets import FederationTarget, PageTarget, read_page, read_target
from matrix_federation_agent._policies import GatewayPolicy
from matrix_federation_agent._uri import CheckedURI
from tests.case import TestCase

# Targets that are forwarded; the server name and the path in them.
FORWARDED = [
    (b"matrix-federation://ex.com/_matrix/x", "ex.com", b"/_matrix/x"),
    (b"matrix://ex.com/_matrix/x", "ex.com", b"/_matrix/x"),
    (b"MATRIX-Federation://ex.com/a", "ex.com", b"/a"),
    (b"matrix-federation://Ex.Com:8448/a?b=c", "Ex.Com:8448", b"/a"),
    (b"matrix-federation://192.0.2.1/a", "192.0.2.1", b"/a"),
    (b"matrix-federation://192.0.2.1:80/a", "192.0.2.1:80", b"/a"),
    (b"matrix-federation://[::1]/a", "[::1]", b"/a"),
    (b"matrix-federation://[::1]:8448/a", "[::1]:8448", b"/a"),
    (b"matrix-federation://ex.com", "ex.com", b"/"),
    (b"matrix-federation://ex.com?a=b", "ex.com", b"/"),
    (b"matrix-federation://ex.com/a?", "ex.com", b"/a"),
    (b"matrix-federation://ex.com//a/../%7e%7E;p?a=%40&a=&b", "ex.com", b"//a/../%7e%7E;p"),
    (b"matrix-federation://ex.com/@bob:ex.com", "ex.com", b"/@bob:ex.com"),
]

# Method, target, status and errcode of what is not forwarded.
REFUSED = [
    (b"GET", b"matrix-federation://ex.com/a#b", 400, "M_INVALID_PARAM"),
    (b"GET", b"matrix-federation://ex.com#", 400, "M_INVALID_PARAM"),
    (b"GET", b"matrix-federation://user:pass@ex.com/a", 400, "M_INVALID_PARAM"),
    (b"GET", b"matrix-federation://@ex.com/a", 400, "M_INVALID_PARAM"),
    (b"GET", b"matrix-federation://ex.com:0/a", 400, "M_INVALID_PARAM"),
    (b"GET", b"matrix-federation://ex.com:99999/a", 400, "M_INVALID_PARAM"),
    (b"GET", b"matrix-federation://e_x.com/a", 400, "M_INVALID_PARAM"),
    (b"GET", b"matrix-federation://127.1/a", 400, "M_INVALID_PARAM"),
    (b"GET", b"matrix-federation:///a", 400, "M_INVALID_PARAM"),
    (b"GET", b"matrix-federation:ex.com", 400, "M_INVALID_PARAM"),
    (b"GET", b"matrix-federation://ex.com/\xc3\xa9", 400, "M_INVALID_PARAM"),
    (b"GET", b"matrix-federation://ex.com/a\r\nb", 400, "M_INVALID_PARAM"),
    (b"GET", b"matrix-federation://ex.com/a b", 400, "M_INVALID_PARAM"),
    (b"OPTIONS", b"*", 400, "M_INVALID_PARAM"),
    (b"GET", b"", 400, "M_INVALID_PARAM"),
    (b"GET", b"ex.com:443", 400, "M_UNRECOGNIZED"),
    (b"GET", b"http://169.254.169.254/", 400, "M_UNRECOGNIZED"),
    (b"GET", b"file:///etc/passwd", 400, "M_UNRECOGNIZED"),
    (b"GET", b"https://ex.com/a", 403, "M_FORBIDDEN"),
    (b"GET", b"HTTPS://ex.com/a", 403, "M_FORBIDDEN"),
    (b"CONNECT", b"ex.com:443", 405, "M_UNRECOGNIZED"),
    (b"CONNECT", b"matrix-federation://ex.com/a", 405, "M_UNRECOGNIZED"),
]

# Targets, and what they say where they are the gateway's own.
PAGES = [
    (b"/health", PageTarget(b"/health", b"")),
    (b"/known?server_name=a?b", PageTarget(b"/known", b"server_name=a?b")),
    (b"//ex.com/a", PageTarget(b"//ex.com/a", b"")),
    (b"*", None),
    (b"", None),
    (b"matrix-federation://ex.com/health", None),
]


class ReadTargetTests(TestCase):
    """
    L{read_target}.
    """

    def test_G2_targets_are_taken_byte_for_byte(self) -> None:
        """
        The agent is asked for what was received.
        """
        for target, server_name, path in FORWARDED:
            expected = FederationTarget(CheckedURI.check(target), server_name, path)
            self.assertEqual(read_target(b"GET", target, GatewayPolicy()), expected)

    def test_G6_other_targets_are_refused(self) -> None:
        """
        Each with a status and a code that tell why.
        """
        for method, target, code, errcode in REFUSED:
            answer = read_target(method, target, GatewayPolicy())
            assert isinstance(answer, Answer), target
            found = (answer.code, json.loads(answer.body)["errcode"], answer.outcome)
            self.assertEqual(found, (code, errcode, "refused"), target)

    def test_https_where_it_is_allowed(self) -> None:
        """
        It is a target like any other; C{http} never is.
        """
        policy = GatewayPolicy(allow_https=True)
        found = read_target(b"GET", b"https://ex.com:444/a?b", policy)
        self.assertEqual(found, FederationTarget(CheckedURI.check(b"https://ex.com:444/a?b"), "ex.com:444", b"/a"))
        self.assertIsInstance(read_target(b"GET", b"http://ex.com/", policy), Answer)

    def test_passwords_are_not_repeated(self) -> None:
        """
        What stands before the name is no business of an answer.
        """
        answer = read_target(b"GET", b"matrix-federation://user:sesame@ex.com/a", GatewayPolicy())
        self.assertNotIn("sesame", repr(answer))

    def test_CONNECT_is_answered_with_what_there_is(self) -> None:
        """
        RFC 9110, section 15.5.6.
        """
        answer = read_target(b"CONNECT", b"ex.com:443", GatewayPolicy())
        assert isinstance(answer, Answer)
        self.assertEqual(answer.headers[1:], ((b"Allow", b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),))


class ReadPageTests(TestCase):
    """
    L{read_page}.
    """

    def test_origin_form(self) -> None:
        """
        It begins with a slash.
        """
        self.assertEqual([(target, read_page(target)) for target, _ in PAGES], PAGES)

    def test_queries_are_not_shown(self) -> None:
        """
        Nor where a target is forwarded.
        """
        found = (read_page(b"/a?sesame"), read_target(b"GET", b"matrix://ex.com/a?sesame", GatewayPolicy()))
        self.assertNotIn("sesame", repr(found))
