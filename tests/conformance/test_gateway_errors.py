"""
What a client of the gateway is told when there is no response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Factory, Protocol

from matrix_federation_agent import AddressPolicy
from matrix_federation_agent._policies import GatewayPolicy
from tests.conformance.case import RawServer, until
from tests.conformance.gateway_case import OK, URI, GatewayCase, request

if TYPE_CHECKING:
    from tests.conformance.raw_http import Message

KEYS = {"errcode", "err", "error", "phase", "server_name", "attempts"}


class FailureCase(GatewayCase):
    """
    Failures, as clients are told of them.
    """

    async def fails_with(self, code: int, phase: str, data: bytes = b"") -> Any:
        """
        Send a request that fails.

        @return: what its answer says, which never tells of our code.
        """
        response = await self.reply(data or request())
        told = response.json
        self.assertEqual((response.code, told["phase"], set(told)), (code, phase, KEYS), told)
        self.assertEqual((told["err"], response.values(b"content-type")), (told["error"], [b"application/json"]))
        self.assertNotRegex(response.body, rb'Traceback|\.py|File \\"|line \d|Failure|object at 0x')
        return told


class RemoteTests(FailureCase):
    """
    Failures of the remote.
    """

    async def test_G6_1_no_such_name(self) -> None:
        """
        A name that DNS does not know.
        """
        self.gateway()
        told = await self.fails_with(502, "dns", request(b"matrix-federation://nowhere.test:8448/"))
        self.assertEqual((told["errcode"], told["server_name"]), ("M_UNKNOWN", "nowhere.test:8448"))

    async def test_G6_1_refused(self) -> None:
        """
        A port where nobody listens; each attempt is told of.
        """
        self.gateway()
        told = await self.fails_with(502, "tcp")
        (attempt,) = told["attempts"]
        self.assertEqual((attempt["target"], attempt["address"], attempt["phase"]), ("ex.com:8448", "192.0.2.1", "tcp"))
        self.assertEqual(set(attempt), {"target", "address", "type", "phase", "reason"})

    async def test_G6_1_a_certificate_of_another(self) -> None:
        """
        A server that proves another name; it sees nothing of the request.
        """
        origin = self.origin(OK, "other.test")
        self.gateway()
        told = await self.fails_with(502, "tls")
        self.assertEqual((told["attempts"][0]["type"], origin.requests), ("CertificateRejected", []))

    async def test_G6_1_no_tls(self) -> None:
        """
        A server without TLS.
        """
        self.federation.listen_tcp("192.0.2.1", 8448, RawServer(greeting=b"220 hush ESMTP\r\n"))
        self.gateway()
        self.assertNotIn("hush", str(await self.fails_with(502, "tls")))

    async def test_G6_1_an_early_end(self) -> None:
        """
        A server that ends the connection instead of answering.
        """
        self.origin(lambda one: one.close())
        self.gateway()
        self.assertEqual((await self.fails_with(502, "http"))["server_name"], "ex.com:8448")

    async def test_G6_1_not_http(self) -> None:
        """
        A server that speaks something else; what it says is not repeated.
        """
        self.origin(b"SSH-2.0-hush\r\n\r\n")
        self.gateway()
        self.assertNotIn("hush", str(await self.fails_with(502, "http")))

    async def test_G6_1_G1_7_G8_10_a_forbidden_address(self) -> None:
        """
        A name that leads to where nobody shall go is refused with 403, and nobody is dialled.
        """
        self.gateway(addresses=AddressPolicy())
        for address in ("127.0.0.1", "169.254.169.254", "10.0.0.1", "192.0.2.1"):
            told = await self.fails_with(403, "policy", request(f"matrix-federation://{address}:8448/".encode("ascii")))
            self.assertEqual(told["errcode"], "M_FORBIDDEN")
        await self.fails_with(403, "policy")
        self.assertEqual(self.federation.dialled, [])

    async def test_G6_1_the_answer_keeps_the_connection(self) -> None:
        """
        A failure is an answer like any other: the connection serves the next request.
        """
        self.gateway()
        client = await self.client(request(method=b"PUT", body=b"body") + request())
        self.assertEqual([one.code for one in await self.answers(client, 2)], [502, 502])
        self.assertEqual(client.end, "")

    async def test_G6_1_head(self) -> None:
        """
        To C{HEAD} there is no body to read.
        """
        self.gateway()
        client = await self.client(request(method=b"HEAD") + request(method=b"HEAD"))
        client.bodiless = True
        responses = await self.answers(client, 2)
        self.assertEqual(([one.code for one in responses], client.received.endswith(b"\r\n\r\n")), ([502, 502], True))
        self.assertNotIn(b"errcode", client.received)

    async def test_G8_20_the_log_says_who_failed(self) -> None:
        """
        The log has one line for the request, with the server, the status and the phase, and without its query.
        """
        self.gateway()
        log = self.keep_log()
        await self.fails_with(502, "tcp", request(URI + b"path?access_token=hush"))
        (line,) = [one for one in log if "outcome" in one]
        found = (line["server_name"], line["path"], line["code"], line["outcome"], line["phase"], line["method"])
        self.assertEqual(found, ("ex.com:8448", "/path", 502, "failed", "tcp", "GET"))
        self.assertNotRegex(str(log), "hush|s3cret")


class LateTests(FailureCase):
    """
    Limits of time.
    """

    async def test_G6_2_no_response(self) -> None:
        """
        A server without a response in time: 504, and its connection is dropped.
        """
        origin = self.origin(lambda _: None)
        self.gateway(response_timeout=0.15)
        told = await self.fails_with(504, "http")
        self.assertEqual((told["errcode"], told["server_name"]), ("M_UNKNOWN", "ex.com:8448"))
        await until(lambda: origin.open == 0 and self.forwarder.under_way() == 0)

    async def test_G6_2_half_a_head(self) -> None:
        """
        A head that does not end is none.
        """
        self.origin(b"HTTP/1.1 200 OK\r\nX-A: b\r\n")
        self.gateway(response_timeout=0.15)
        await self.fails_with(504, "http")

    async def test_G6_2_in_every_phase(self) -> None:
        """
        The limit is for all that happens before the response.
        """
        self.federation.black_hole("192.0.2.1", 8448)
        self.dns.silence("silent.test")
        self.gateway(response_timeout=0.15)
        for target in (URI, b"matrix-federation://silent.test:8448/"):
            self.assertEqual((await self.reply(request(target))).code, 504)

    async def test_G6_2_G6_10_G8_8_the_default(self) -> None:
        """
        By default it is longer than the 60 seconds for which Synapse waits.
        """
        self.assertEqual(GatewayPolicy().response_timeout, 90)

    async def test_a_limit_of_the_agent(self) -> None:
        """
        A limit of the agent's is a 504 as well.
        """
        self.federation.listen_tcp("192.0.2.1", 8448, Factory.forProtocol(Protocol))
        self.gateway(connections={"tls_timeout": 0.15})
        await self.fails_with(504, "tls")

    async def test_no_connection_becomes_free(self) -> None:
        """
        That of waiting for a connection is a 503: the gateway is full, and not the remote at fault.
        """
        origin = self.origin(lambda _: None)
        self.gateway(connections={"open_connections": 1, "queue_timeout": 0.15})
        await self.client(request())
        await until(lambda: origin.requests != [])
        response = await self.reply(request())
        self.assertEqual(
            (response.code, response.json["phase"], response.values(b"retry-after")), (503, "pool", [b"5"])
        )

    async def test_a_closed_agent(self) -> None:
        """
        A gateway whose agent is closed has nothing to offer: 503.
        """
        self.gateway()
        await self.agent.close()
        response = await self.reply(request())
        self.assertEqual((response.code, response.values(b"retry-after")), (503, [b"5"]))


class TargetTests(GatewayCase):
    """
    Targets that are not forwarded.
    """

    async def refused(self, *targets: bytes, method: bytes = b"GET") -> list[tuple[int, str]]:
        """
        Send requests that must reach nobody.

        @return: status and code of each answer.
        """
        self.gateway()
        responses: list[Message] = [await self.reply(request(target, method=method)) for target in targets]
        self.assertEqual((self.federation.dialled, self.dns.queries), ([], []))
        for one in responses:
            self.assertEqual((one.json["err"], one.values(b"content-type")), (one.json["error"], [b"application/json"]))
        return [(one.code, one.json["errcode"]) for one in responses]

    async def test_G6_8_G8_12_other_schemes(self) -> None:
        """
        Schemes that are not the gateway's.
        """
        targets = (
            b"http://ex.com/",
            b"http://169.254.169.254/latest",
            b"file:///etc/passwd",
            b"ftp://ex.com/",
            b"gopher:a",
            b"mailto:a@b",
        )
        self.assertEqual(await self.refused(*targets), [(400, "M_UNRECOGNIZED")] * len(targets))

    async def test_G6_8_G7_0_https(self) -> None:
        """
        C{https} is forbidden, unless it is permitted.
        """
        self.assertEqual(
            await self.refused(b"https://ex.com:8448/", b"HTTPS://ex.com:8448/"), [(403, "M_FORBIDDEN")] * 2
        )

    async def test_G7_0_https_that_is_permitted(self) -> None:
        """
        Then it is an ordinary request to this host and port, without discovery.
        """
        origin = self.origin()
        self.gateway(allow_https=True)
        self.assertEqual((await self.reply(request(b"https://ex.com:8448/a?"))).code, 200)
        self.assertEqual((origin.request.target, origin.request.values(b"host")), (b"/a?", [b"ex.com:8448"]))

    async def test_G7_0_https_and_the_inside(self) -> None:
        """
        It still leads to no address that the policy forbids.
        """
        self.gateway(allow_https=True, addresses=AddressPolicy())
        response = await self.reply(request(b"https://169.254.169.254/latest/meta-data"))
        self.assertEqual((response.code, self.federation.dialled), (403, []))

    async def test_G6_8_origin_form(self) -> None:
        """
        A path of the gateway's own, of which there are few.
        """
        self.assertEqual(
            await self.refused(b"/", b"/_matrix/federation/v1/version", b"//ex.com/"), [(404, "M_UNRECOGNIZED")] * 3
        )

    async def test_G6_8_connect(self) -> None:
        """
        C{CONNECT}.
        """
        self.assertEqual(await self.refused(b"ex.com:8448", method=b"CONNECT"), [(405, "M_UNRECOGNIZED")])

    async def test_G6_8_connect_with_one_of_our_targets(self) -> None:
        """
        Also with a target that would be one for another method.
        """
        self.assertEqual(await self.refused(URI, method=b"CONNECT"), [(405, "M_UNRECOGNIZED")])

    async def test_G6_9_asterisk(self) -> None:
        """
        C{OPTIONS *}.
        """
        ((code, _),) = await self.refused(b"*", method=b"OPTIONS")
        self.assertEqual(code, 400)

    async def test_G6_1_a_bad_port_or_host(self) -> None:
        """
        Authorities that are no server names are the client's mistake.
        """
        names = (
            b"",
            b"ex.com:",
            b"ex.com:99999",
            b"ex.com:0",
            b"ex.com:http",
            b"[::1",
            b"::1",
            b"a..b",
            b"ex%2ecom",
            b"127.1",
            b"0x7f.1",
        )
        answers = await self.refused(*(b"matrix-federation://%b/" % name for name in names))
        self.assertEqual([code for code, _ in answers], [400] * len(names))

    async def test_no_authority(self) -> None:
        """
        Targets without an authority.
        """
        answers = await self.refused(
            b"matrix-federation:", b"matrix-federation:/a", b"matrix-federation:ex.com/a", b"ex.com", b"?"
        )
        self.assertEqual([code for code, _ in answers], [400] * 5)
