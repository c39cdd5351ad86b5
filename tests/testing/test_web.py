"""
Tests of C{matrix_federation_agent.testing._web}.
"""

from __future__ import annotations

from typing import Any

from treq import content

from matrix_federation_agent.testing import ReceivedRequest
from tests.federation import FederationTestCase
from tests.testing.plain_client import json_of, raw_exchange, visit

PATH = b"/.well-known/matrix/server"


class HomeserverTests(FederationTestCase):
    """
    L{VirtualServer}.
    """

    def setUp(self) -> None:
        """
        Place a homeserver.
        """
        super().setUp()
        self.server = self.federation.serve_homeserver("ex.example", "192.0.2.1", 8448)

    async def get(self, target: bytes) -> Any:
        """
        super().setUp()
        Get a target.
        """
        return await json_of(await visit(self.federation, "192.0.2.1", 8448, "ex.example", target, "ex.example"))

    async def test_version(self) -> None:
        """
        It has a version.
        """
        answer = await self.get(b"/_matrix/federation/v1/version")
        self.assertEqual(answer, {"server": {"name": "LoopbackFederation", "version": "1"}})

    async def test_keys(self) -> None:
        """
        It has a key object of its own.
        """
        answer = await self.get(b"/_matrix/key/v2/server")
        self.assertEqual(answer["server_name"], "ex.example")
        self.assertEqual(answer["verify_keys"]["ed25519:1"]["key"], self.server.signing_key.public)
        self.assertGreater(answer["valid_until_ts"], self.federation.reactor.seconds() * 1000)

    async def test_anything_else_is_echoed(self) -> None:
        """
        Target, headers and body come back as they arrived, byte for byte.
        """
        target = b"/_matrix/x/%2F%c3%bc//../a;b?c=d&e=%20&f"
        head = b"PUT " + target + b" HTTP/1.1\r\nHost: ex.example\r\nX-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 3\r\n"
        answer = await raw_exchange(self.federation, "192.0.2.1", 8448, head + b"Connection: close\r\n\r\na\xffc")
        self.assertEqual((answer["method"], answer["host"], answer["body"]), ("PUT", "ex.example", "a\xffc"))
        self.assertEqual(answer["target"].encode("latin-1"), target)
        self.assertEqual([value for name, value in answer["headers"] if name == "x-twice"], ["1", "2"])

    async def test_requests_are_recorded(self) -> None:
        """
        What arrived is a value, to be compared in a test.
        """
        await self.get(b"/a?b")
        headers = (("connection", "close"), ("host", "ex.example"))
        (request,) = self.server.requests
        self.assertEqual(tuple(sorted(request.headers)), headers)
        expected = ReceivedRequest("GET", b"/a?b", request.headers, "ex.example", b"")
        self.assertEqual(request, expected)

    async def test_two_host_headers_are_none(self) -> None:
        """
        A request with more than one Host header has no host that one could trust.
        """
        head = b"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n"
        answer = await raw_exchange(self.federation, "192.0.2.1", 8448, head)
        self.assertIsNone(answer["host"])


class WellKnownTests(FederationTestCase):
    """
    L{WellKnownHost}.
    """

    async def get(self, host: str, target: bytes = PATH) -> tuple[int, bytes, object]:
        """
        Get a target, found by its name in the DNS.
        """
        response = await visit(self.federation, host, 443, host, target)
        return response.code, await content(response), response.headers.getRawHeaders(b"cache-control")

    async def test_answers(self) -> None:
        """
        Bytes are served as they are, anything else as JSON, with the given status and headers.
        """
        self.federation.serve_well_known("a.example", b"\xef\xbb\xbf{", status=203)
        self.federation.serve_well_known("b.example", ["x"], headers={"Cache-Control": "max-age=7"})
        self.assertEqual(await self.get("a.example"), (203, b"\xef\xbb\xbf{", None))
        self.assertEqual(await self.get("b.example"), (200, b'["x"]', [b"max-age=7"]))

    async def test_answers_can_change(self) -> None:
        """
        The next request sees what was changed after the last; all of them are recorded.
        """
        document = self.federation.serve_well_known("a.example", {})
        self.assertEqual((await self.get("a.example"))[0], 200)
        document.status = 404
        self.assertEqual((await self.get("a.example"))[0], 404)
        document.path, document.status = "/elsewhere", 200
        self.assertEqual((await self.get("a.example"))[0], 404)
        self.assertEqual((await self.get("a.example", b"/elsewhere"))[0], 200)
        self.assertEqual([r.target for r in document.requests], [PATH, PATH, PATH, b"/elsewhere"])

    async def test_the_dns_is_respected(self) -> None:
        """
        A name that has an address keeps it, and the document is served there.
        """
        self.federation.name_server.add_address("a.example", "2001:db8::5")
        self.assertEqual(self.federation.serve_well_known("a.example", {}).address, "2001:db8::5")
        self.federation.serve_well_known("b.example", {}, address="192.0.2.5")
        self.assertEqual(self.federation.name_server.address_of("b.example"), "192.0.2.5")
