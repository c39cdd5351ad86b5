"""
What of a client's request lines reaches the remote, and how requests follow each other.
"""

from __future__ import annotations

from matrix_federation_agent import AddressPolicy
from matrix_federation_agent.testing import DOCUMENTATION_RANGES
from tests.conformance.case import until
from tests.conformance.gateway_case import NAME, OK, URI, GatewayCase, request

SYNAPSE = (
    b"PUT matrix-federation://ex.com:8448/_matrix/federation/v1/send/1795210948510 HTTP/1.1\r\n"
    b"Connection: close\r\n"
    b"Content-Length: 11\r\n"
    b"User-Agent: Synapse/1.163.2\r\n"
    b"Content-Type: application/json\r\n"
    b'Authorization: X-Matrix origin="hs1.test",key="ed25519:a_hs1",sig="c2ln",destination="hs2.test"\r\n'
    b"Proxy-Authorization: Bearer s3cret\r\n"
    b"Host: ex.com:8448\r\n"
    b"\r\n"
    b'{"pdus":[]}'
)
FORWARDED = (
    b"PUT /_matrix/federation/v1/send/1795210948510 HTTP/1.1\r\n"
    b"Host: ex.com:8448\r\n"
    b"User-Agent: Synapse/1.163.2\r\n"
    b"Content-Type: application/json\r\n"
    b'Authorization: X-Matrix origin="hs1.test",key="ed25519:a_hs1",sig="c2ln",destination="hs2.test"\r\n'
    b"Content-Length: 11\r\n"
    b"\r\n"
    b'{"pdus":[]}'
)
TARGETS = (
    b"/",
    b"/_matrix/federation/v1/query/profile?user_id=%40bob%3Ahs2.test&field=displayname",
    b"/%21room%3ahs2.test/%24event",
    b"/%7E~%7e",
    b"/%c3%A9%2F%2f",
    b"//double//slash//",
    b"/./a/../b/.",
    b"/..",
    b"/a;b=c;d?e;f=g",
    b"/a+b?c+d=e+f",
    b"/?b=2&a=1&b=1&b=2",
    b"/?a=&b&=c&&",
    b"/?",
    b"/a?",
    b"/a??b?c",
    b"/a?b=/../c",
    b"/a?b=http://other.test/@:",
    b"/:@!$&'()*,=[]|^`{}\"<>\\",
)


class TargetTests(GatewayCase):
    """
    Path and query, which signatures cover.
    """

    async def test_G2_6_path_and_query_byte_for_byte(self) -> None:
        """
        Path and query reach the remote as they are.
        """
        origin = self.origin()
        self.gateway()
        client = await self.client()
        for count, target in enumerate(TARGETS, 1):
            client.send(request(URI[:-1] + target))
            await self.answers(client, count)
        self.assertEqual([one.target for one in origin.requests], list(TARGETS))

    async def test_G2_6_no_path(self) -> None:
        """
        Without a path it is C{/}.
        """
        self.assertEqual((await self.forwarded(request(URI[:-1]))).target, b"/")

    async def test_G2_6_a_query_without_a_path(self) -> None:
        """
        A query without a path has one at the remote.
        """
        self.assertEqual((await self.forwarded(request(URI[:-1] + b"?a=b"))).target, b"/?a=b")

    async def test_G2_6_bytes_that_are_not_ascii(self) -> None:
        """
        Bytes that no URI has are answered with 400, and reach nobody.
        """
        self.gateway()
        self.assertEqual((await self.reply(request(URI + b"\xc3\xa9"))).code, 400)
        self.assertEqual(self.federation.dialled, [])

    async def test_G2_6_a_long_target(self) -> None:
        """
        A target of 32 KiB passes whole.
        """
        target = b"/" + b"%21a" * 8192
        self.assertEqual((await self.forwarded(request(URI[:-1] + target))).target, target)


class LineTests(GatewayCase):
    """
    The rest of the request line, and the head as Synapse writes it.
    """

    async def test_G2_1_as_synapse_writes_it(self) -> None:
        """
        What reaches the remote is known to the byte.
        """
        origin = self.origin()
        self.gateway()
        self.assertEqual((await self.reply(SYNAPSE)).code, 200)
        sent = origin.connections[0].received
        self.assertEqual((sent.split(b"\r\n")[:2], sorted(sent.split(b"\r\n"))), (
            FORWARDED.split(b"\r\n")[:2],
            sorted(FORWARDED.split(b"\r\n")),
        ))  # fmt: skip

    async def test_G2_1_every_kind_of_authority(self) -> None:
        """
        Names and addresses, with a port or without one.
        """
        self.gateway(addresses=AddressPolicy(allow=[*DOCUMENTATION_RANGES]))
        names = {
            b"ex.com": "ex.com",
            b"ex.com:8448": "ex.com",
            b"192.0.2.7": "192.0.2.7",
            b"192.0.2.7:8448": "192.0.2.7",
        }
        addresses = {"ex.com": "192.0.2.1", "192.0.2.7": "192.0.2.7", "2001:db8::1": "2001:db8::1"}
        names |= {b"[2001:db8::1]": "2001:db8::1", b"[2001:db8::1]:8448": "2001:db8::1"}
        origins = {name: self.origin(OK, name, address) for name, address in addresses.items()}
        for authority in names:
            self.assertEqual((await self.reply(request(b"matrix-federation://%b/" % authority))).code, 200, authority)
        hosts = [host for origin in origins.values() for one in origin.requests for host in one.values(b"host")]
        self.assertEqual(hosts, list(names))

    async def test_G2_1_userinfo(self) -> None:
        """
        Userinfo is answered with 400, and reaches nobody.
        """
        self.gateway()
        self.assertEqual((await self.reply(request(b"matrix-federation://user:pass@ex.com:8448/"))).code, 400)
        self.assertEqual(self.federation.dialled, [])

    async def test_G2_1_a_fragment(self) -> None:
        """
        So is a fragment: no request target has one (RFC 9112, section 3.2).
        """
        self.gateway()
        self.assertEqual((await self.reply(request(URI + b"a#b"))).code, 400)
        self.assertEqual(self.federation.dialled, [])

    async def test_G2_1_G8_24_the_scheme_has_no_case(self) -> None:
        """
        The scheme may be spelt in any case.
        """
        self.assertEqual((await self.forwarded(request(b"Matrix-FEDERATION://ex.com:8448/a"))).target, b"/a")

    async def test_the_older_scheme(self) -> None:
        """
        C{matrix://} is forwarded as well.
        """
        self.assertEqual((await self.forwarded(request(b"matrix://ex.com:8448/a"))).target, b"/a")

    async def test_G2_3_host_is_ignored(self) -> None:
        """
        Whatever the client's C{Host} says, the remote is told its own name.
        """
        data = request(URI).replace(b"Host: ex.com:80", b"Host: other.test")
        self.assertEqual((await self.forwarded(data)).values(b"host"), [NAME])

    async def test_G2_4_any_token_is_a_method(self) -> None:
        """
        A method is forwarded as it is, also one that nobody knows; C{get} is not C{GET}.
        """
        origin = self.origin()
        self.gateway()
        methods = [b"GET", b"PUT", b"POST", b"DELETE", b"PATCH", b"OPTIONS", b"get", b"M-SEARCH", b"!#$%&'*+-.^_`|~0"]
        for method in methods:
            self.assertEqual((await self.reply(request(method=method))).code, 200, method)
        self.assertEqual([one.start.split(b" ")[0] for one in origin.requests], methods)

    async def test_G2_5_trace_contexts_are_withheld(self) -> None:
        """
        What tracing adds to a request stays inside.
        """
        lines = (b"Uber-Trace-Id: 1:2:3:1", b"traceparent: 00-a-b-01", b"Baggage: a=b", b"Sentry-Trace: 1")
        seen = await self.forwarded(request(URI, b"X-Other: a", *lines))
        self.assertEqual(seen.names, [b"host", b"user-agent", b"x-other"])


class ConnectionTests(GatewayCase):
    """
    Connections of clients.
    """

    async def test_G2_2_connection_close(self) -> None:
        """
        With C{Connection: close} the connection ends in order after the response, which says so.
        """
        self.origin()
        self.gateway()
        client = await self.client(request(URI, b"Connection: close"))
        await until(lambda: client.end != "")
        (response,) = client.whole
        self.assertEqual((client.end, response.values(b"connection"), response.body), ("clean", [b"close"], b"hi"))

    async def test_G2_2_keep_alive(self) -> None:
        """
        Without it the connection serves the next request.
        """
        origin = self.origin()
        self.gateway()
        client = await self.client(request(URI + b"1"))
        await self.answers(client)
        client.send(request(URI + b"2"))
        responses = await self.answers(client, 2)
        self.assertEqual(([one.body for one in responses], client.end, self.clients), ([b"hi", b"hi"], "", 1))
        self.assertEqual([one.target for one in origin.requests], [b"/1", b"/2"])

    async def test_G2_2_pipelining(self) -> None:
        """
        Requests that come together are answered in order, bodies and all.
        """
        origin = self.origin(
            lambda one: one.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + one.requests[-1].target)
        )
        self.gateway()
        many = [request(URI + b"%d" % number, method=b"PUT", body=b"%d" % number) for number in range(5)]
        responses = await self.answers(await self.client(b"".join(many)), 5)
        self.assertEqual([one.body for one in responses], [b"/%d" % number for number in range(5)])
        self.assertEqual([one.body for one in origin.requests], [b"%d" % number for number in range(5)])

    async def test_G2_2_a_pipelined_request_waits(self) -> None:
        """
        The second is not begun before the first is answered.
        """
        origin = self.origin(lambda _: None)
        self.gateway()
        client = await self.client(request(URI + b"1") + request(URI + b"2"))
        await until(lambda: origin.requests != [])
        self.assertEqual((self.forwarder.under_way(), [one.target for one in origin.requests]), (1, [b"/1"]))
        origin.connections[0].send(OK)
        await until(lambda: len(origin.requests) == 2)
        self.assertEqual(len(client.whole), 1)

    async def test_G2_2_nothing_is_answered_after_connection_close(self) -> None:
        """
        What comes after a request with C{Connection: close} is not a request.
        """
        origin = self.origin()
        self.gateway()
        client = await self.client(request(URI, b"Connection: close") + request(URI))
        await until(lambda: client.end != "")
        self.assertEqual((len(client.whole), len(origin.requests)), (1, 1))

    async def test_connection_has_no_case_and_may_be_a_list(self) -> None:
        """
        C{close} is found in whichever place and case.
        """
        self.origin()
        self.gateway()
        for lines in (
            (b"Connection: CLOSE",),
            (b"Connection: x-a , Close",),
            (b"Connection: x-a", b"connection: close"),
        ):
            client = await self.client(request(URI, *lines))
            await until(lambda client=client: client.end != "")  # type: ignore[misc]
            self.assertEqual((client.end, len(client.whole)), ("clean", 1))

    async def test_http_1_0(self) -> None:
        """
        An older client gets a response that it can read: no chunks, and the connection ends.
        """
        self.origin(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
        self.gateway()
        client = await self.client(request(version=b"HTTP/1.0"))
        await until(lambda: client.end != "")
        (response,) = client.responses
        self.assertEqual((client.end, response.values(b"transfer-encoding"), response.body), ("clean", [], b"hi"))

    async def test_http_1_0_keep_alive(self) -> None:
        """
        An older client may ask for the connection to go on, where the length is known.
        """
        self.origin()
        self.gateway()
        client = await self.client(request(URI, b"Connection: keep-alive", version=b"HTTP/1.0"))
        (first,) = await self.answers(client)
        client.send(request(version=b"HTTP/1.0"))
        await until(lambda: client.end != "")
        connection = [one.values(b"connection") for one in client.whole]
        self.assertEqual((first.body, connection, client.end), (b"hi", [[b"keep-alive"], [b"close"]], "clean"))

    async def test_G2_2_an_error_and_connection_close(self) -> None:
        """
        C{Connection: close} holds for answers of the gateway's own as well.
        """
        self.gateway()
        client = await self.client(request(b"*", b"Connection: close"))
        await until(lambda: client.end != "")
        (response,) = client.whole
        self.assertEqual((client.end, response.code, response.values(b"connection")), ("clean", 400, [b"close"]))

    async def test_a_request_in_pieces(self) -> None:
        """
        A request may come byte by byte.
        """
        origin = self.origin()
        self.gateway()
        client = await self.client()
        data = request(URI + b"a", method=b"PUT", body=b"body")
        for position in range(len(data)):
            client.send(data[position : position + 1])
            if position % 16 == 0:
                await self.turn()
        (response,) = await self.answers(client)
        self.assertEqual((response.code, origin.request.target, origin.request.body), (200, b"/a", b"body"))

    async def test_empty_lines_before_a_request(self) -> None:
        """
        Empty lines before a request are passed over (RFC 9112, section 2.2).
        """
        self.assertEqual((await self.forwarded(b"\r\n" + request(URI + b"a"))).target, b"/a")


class ListenerTests(GatewayCase):
    """
    The kinds of location that Synapse's C{instance_map} has.
    """

    async def test_G1_1_G8_11_tcp(self) -> None:
        """
        TCP.
        """
        self.assertEqual((await self.forwarded(request(URI + b"a"))).target, b"/a")

    async def test_G1_1_G8_11_tls(self) -> None:
        """
        TLS.
        """
        self.origin()
        self.assertEqual((await self.reply(request(), self.with_tls(self.gateway()))).body, b"hi")

    async def test_G1_1_G8_11_unix(self) -> None:
        """
        A Unix socket.
        """
        self.origin()
        self.assertEqual((await self.reply(request(), self.on_a_unix_socket(self.gateway()))).body, b"hi")
