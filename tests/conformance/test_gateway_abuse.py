"""
Clients that want to do harm: each is answered or disconnected, nobody is dialled, and nothing remains.
"""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

from twisted.internet.defer import ensureDeferred, gatherResults

from tests.conformance.case import until
from tests.conformance.gateway_case import BEARER, OK, URI, GatewayCase, request

if TYPE_CHECKING:
    from tests.conformance.raw_http import Message

STRANGERS = (
    b"GET matrix-federation://ex.com:8448/a HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET matrix-federation://ex.com:8448/a HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Bearer wrong\r\n\r\n",
    b"PUT http://169.254.169.254/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic czNj\r\nContent-Length: 0\r\n\r\n",
)
ABSURD = (
    b"http://169.254.169.254/",
    b"http://127.0.0.1:8448/_matrix/federation/v1/version",
    b"HTTP://ex.com:8448/",
    b"https://169.254.169.254/",
    b"https://user:pass@ex.com/",
    b"file:///etc/passwd",
    b"file:",
    b"FILE:/etc/passwd",
    b"unix:/run/docker.sock:/version",
    b"data:,a",
    b"javascript:a",
    b"*",
    b"**",
    b"/",
    b"//ex.com:8448/",
    b"ex.com:8448",
    b"ex.com/a",
    b"?",
    b"#",
    b"://ex.com/",
    b":",
    b"matrix-federation",
    b"matrix-federation:",
    b"matrix-federation:/",
    b"matrix-federation://",
    b"matrix-federation:///",
    b"matrix-federation:///a",
    b"matrix-federation:ex.com",
    b"matrix-federation://:8448/",
    b"matrix-federation://user@ex.com/",
    b"matrix-federation://user:pass@ex.com/",
    b"matrix-federation://@ex.com/",
    b"matrix-federation://ex.com@169.254.169.254/",
    b"matrix-federation://ex.com:8448@127.0.0.1/",
    b"matrix-federation://ex.com:0/",
    b"matrix-federation://ex.com:-1/",
    b"matrix-federation://ex.com:65536/",
    b"matrix-federation://ex.com:8448:8448/",
    b"matrix-federation://[::1/",
    b"matrix-federation://[::1%25lo]/",
    b"matrix-federation://[v1.a]/",
    b"matrix-federation://0x7f000001/",
    b"matrix-federation://2130706433/",
    b"matrix-federation://0177.0.0.1/",
    b"matrix-federation://ex%2ecom/",
    b"matrix-federation://ex.com%00.test/",
    b"matrix-federation://ex.com\\@127.0.0.1/",
    b"matrix-federation://" + b"a" * 300 + b"/",
    b"matrix-federation://" + b"a." * 10_000 + b"a/",
    b"matrix-federation://matrix-federation://ex.com/",
    b"xmatrix-federation://ex.com/",
    b"matrix-federation+https://ex.com/",
    b"a" * 10_000 + b"://ex.com/",
)
BROKEN_LINES = (
    b"GET " + URI + b"a\r\nX: b HTTP/1.1",
    b"GET " + URI + b"a\rb HTTP/1.1",
    b"GET " + URI + b"a\nb HTTP/1.1",
    b"GET " + URI + b"a\0b HTTP/1.1",
    b"GET " + URI + b"a b HTTP/1.1",
    b"GET " + URI + b"a\tb HTTP/1.1",
    b"GET " + URI + b"\x7f HTTP/1.1",
    b"GET  " + URI + b" HTTP/1.1",
    b"GET " + URI + b"  HTTP/1.1",
    b" GET " + URI + b" HTTP/1.1",
    b"GET\t" + URI + b"\tHTTP/1.1",
    b"GET " + URI,
    b"GET " + URI + b" http/1.1",
    b"GET " + URI + b" HTTP/1.1 ",
    b"GET " + URI + b" HTTP/1.10",
    b"GET " + URI + b" HTTP/1.",
    b"GET " + URI + b" HTTP/",
    b"G\xc3\xa9T " + URI + b" HTTP/1.1",
    b"G:T " + URI + b" HTTP/1.1",
    b"GET  HTTP/1.1",
    b"GET",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)
BROKEN_HEADERS = (
    b"X-A : a",
    b" X-A: a",
    b"X-A: a\r\n folded",
    b"X-A: a\r\n\tfolded",
    b": a",
    b"X-A",
    b"X\xc3\xa9: a",
    b"X A: a",
    b"X-A: a\0b",
    b"X-A: a\rb",
    b"X-A: a\nX-B: b",
    b"X-A: a\r\r\nX-B: b",
    b"X" * 300 + b": a",
    b"(X): a",
)
BROKEN_BODIES = (
    b"Content-Length: 4\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4",
    b"Content-Length: 4\r\nContent-Length: 5",
    b"Content-Length: 4, 5",
    b"Content-Length: +4",
    b"Content-Length: -4",
    b"Content-Length: 0x4",
    b"Content-Length: 4 4",
    b"Content-Length: 4_0",
    b"Content-Length: 4.0",
    b"Content-Length:",
    b"Content-Length: \xb2",
    b"Content-Length: " + b"1" * 30,
    b"Transfer-Encoding:",
)
BROKEN_CODINGS = (
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: \x0bchunked",
)
BROKEN_CHUNKS = (
    b"0x2\r\nhi\r\n0\r\n\r\n",
    b"-2\r\nhi\r\n0\r\n\r\n",
    b"+2\r\nhi\r\n0\r\n\r\n",
    b" 2\r\nhi\r\n0\r\n\r\n",
    b"2_0\r\nhi\r\n0\r\n\r\n",
    b"g\r\nhi\r\n0\r\n\r\n",
    b"\r\nhi\r\n0\r\n\r\n",
    b"2\r\nhi!\r\n0\r\n\r\n",
    b"2\r\nhi0\r\n\r\n",
    b"ffffffffffffffffff\r\nhi",
    b"2;" + b"a" * 100_000,
    b"2" * 100_000,
    b"0\r\nno header\r\n\r\n",
    b"0\r\n" + b"X-A: a\r\n" * 10_000,
)


class AbuseCase(GatewayCase):
    """
    A gateway and a server that nobody shall reach.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Start them.
        """
        super().setUp()
        self.far = self.origin()
        self.gateway()

    async def refused(self, data: bytes) -> list[int]:
        """
        Send something, and then what must not be taken for a request.

        @return: the statuses of what came until the end.
        """
        client = await self.client(data)
        await until(lambda: client.end != "")
        return [one.code for one in client.whole]

    def assert_nobody_was_asked(self) -> None:
        """
        See that nothing left the gateway, and nothing remains.
        """
        self.assertEqual((self.federation.dialled, self.dns.queries, self.forwarder.under_way()), ([], [], 0))


class FloodTests(AbuseCase):
    """
    Very many.
    """

    async def flood(self) -> int:
        """
        Send ten requests on each of 100 connections.

        @return: how many were answered with 401.
        """
        clients = [await self.client(b"".join(STRANGERS[number % 3] for number in range(10))) for _ in range(100)]
        for client in clients:
            await until(lambda client=client: client.received.count(b"HTTP/1.1 401") == 10)  # type: ignore[misc]
        await self.leave()
        await until(lambda: self.clients == 0)
        return sum(one.code == 401 for client in clients for one in client.whole)

    async def test_strangers(self) -> None:
        """
        10,000 requests with a wrong secret or without one are refused, nobody is dialled, and no memory is kept.
        """
        refused = await self.flood()
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in range(9):
            refused += await self.flood()
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
        self.assertEqual((refused, kept // (512 * 1024)), (10_000, 0))
        self.assert_nobody_was_asked()

    async def test_slow_heads(self) -> None:
        """
        500 clients that each send half a head are all told, and disconnected; meanwhile others are served.
        """
        self.gateway(head_timeout=1)
        self.dns.add_address("other.com", "192.0.2.2")
        self.origin(OK, "other.com", "192.0.2.2")
        slow = [await self.client(request()[:-3]) for _ in range(500)]
        fast = await self.reply(request(b"matrix-federation://other.com:8448/", b"Connection: close"))
        await until(lambda: all(one.end for one in slow))
        self.assertEqual((fast.code, {one.code for client in slow for one in client.whole}), (200, {408}))
        await until(lambda: self.clients == 0)
        self.assertEqual((self.far.requests, self.forwarder.under_way()), ([], 0))

    async def test_connections_beyond_the_limit(self) -> None:
        """
        Of 300 connections that say nothing no more are kept than may be, and those who have theirs are served.
        """
        self.gateway(max_connections=100)
        first = await self.client()
        silent = await gatherResults([ensureDeferred(self.client()) for _ in range(300)])
        await until(lambda: len([one for one in silent if not one.end]) == 99)
        await until(lambda: self.clients == 100)
        first.send(request())
        self.assertEqual((await self.answers(first))[0].code, 200)


class TargetTests(AbuseCase):
    """
    Absurd targets.
    """

    async def test_absurd_targets(self) -> None:
        """
        Who knows the secret is told that they are none.
        """
        answers: dict[bytes, Message] = {target: await self.reply(request(target)) for target in ABSURD}
        wrong = {target[:60]: one.code for target, one in answers.items() if one.code not in {400, 403, 404}}
        self.assertEqual((wrong, [one for one in answers.values() if len(one.body) > 4096]), ({}, []))
        self.assert_nobody_was_asked()

    async def test_absurd_targets_of_strangers(self) -> None:
        """
        Who does not is told the one thing only, but for the gateway's own paths.
        """
        own = [target for target in ABSURD if target.startswith(b"/")]
        for target in ABSURD:
            response = await self.reply(request(target).replace(BEARER, b"X: a"))
            self.assertEqual(response.code, 404 if target in own else 401, target[:60])
        self.assert_nobody_was_asked()

    async def test_other_methods(self) -> None:
        """
        C{CONNECT} and C{PRI} lead nowhere, whatever the target.
        """
        for target in (b"ex.com:8448", b"169.254.169.254:80", b"*", b"ex.com", URI, b"/"):
            self.assertIn((await self.reply(request(target, method=b"CONNECT"))).code, (400, 404, 405), target)
        self.assert_nobody_was_asked()

    async def test_the_password_of_userinfo_is_not_repeated(self) -> None:
        """
        What looks like a password is neither answered nor logged.
        """
        log = self.keep_log()
        response = await self.reply(request(b"matrix-federation://user:hush@ex.com/"))
        self.assertNotIn(b"hush", response.body)
        self.assertNotIn("hush", str(log))

    async def test_the_log_has_no_line_ends_of_others(self) -> None:
        """
        What is logged of a path is escaped and short.
        """
        log = self.keep_log()
        await self.reply(request(URI + b"a" * 5000))
        (line,) = [one for one in log if "outcome" in one]
        self.assertLessEqual(len(line["path"]), 250)

    async def test_encoded_line_ends_pass(self) -> None:
        """
        What is encoded is data: it reaches the remote as it is.
        """
        self.assertEqual((await self.reply(request(URI + b"a%0d%0aX:%20b%00"))).code, 200)
        self.assertEqual(self.far.request.target, b"/a%0d%0aX:%20b%00")


class GrammarTests(AbuseCase):
    """
    What is no HTTP is answered once, and what comes after it is not read.
    """

    async def test_request_lines(self) -> None:
        """
        Lines that are no request lines.
        """
        for line in BROKEN_LINES:
            data = line + b"\r\n" + BEARER + b"\r\nHost: a\r\n\r\n" + request()
            self.assertIn(await self.refused(data), ([400], [505]), line)
        self.assert_nobody_was_asked()

    async def test_headers(self) -> None:
        """
        Lines that are no headers.
        """
        for line in BROKEN_HEADERS:
            self.assertEqual(await self.refused(request(URI, line) + request()), [400], line)
        self.assert_nobody_was_asked()

    async def test_host(self) -> None:
        """
        One C{Host} there has to be (RFC 9112, section 3.2), although it says nothing.
        """
        host = b"Host: ex.com:80\r\n"
        for lines in (b"", host + host, host + b"host: other.test\r\n"):
            self.assertEqual(await self.refused(request().replace(host, lines)), [400], lines)
        self.assert_nobody_was_asked()

    async def test_framing(self) -> None:
        """
        Bodies whose end is not certain.
        """
        for line in BROKEN_BODIES:
            data = request(URI, line, method=b"PUT") + b"4\r\nbody\r\n0\r\n\r\n" + request()
            self.assertIn(await self.refused(data), ([400], [413], [501]), line)
        self.assert_nobody_was_asked()

    async def test_codings(self) -> None:
        """
        Codings that the gateway does not know.
        """
        for line in BROKEN_CODINGS:
            data = request(URI, line, method=b"PUT") + b"4\r\nbody\r\n0\r\n\r\n" + request()
            self.assertIn(await self.refused(data), ([501], [400]), line)
        self.assert_nobody_was_asked()

    async def test_a_coding_in_http_1_0(self) -> None:
        """
        An older client has no chunks (RFC 9112, section 6.1).
        """
        data = request(URI, b"Transfer-Encoding: chunked", method=b"PUT", version=b"HTTP/1.0") + b"0\r\n\r\n"
        self.assertEqual(await self.refused(data), [400])
        self.assert_nobody_was_asked()

    async def test_chunks(self) -> None:
        """
        What is no chunk: the remote never sees an end of that body.
        """
        for chunks in BROKEN_CHUNKS:
            data = request(URI, b"Transfer-Encoding: chunked", method=b"PUT") + chunks + request()
            self.assertIn(await self.refused(data), ([400], [413], [431]), chunks[:60])
        await until(lambda: self.forwarder.under_way() == 0 and self.far.open == 0)
        self.assertNotIn(True, [one.whole for one in self.far.requests])

    async def test_versions(self) -> None:
        """
        Other versions of HTTP.
        """
        for version in (b"HTTP/2.0", b"HTTP/0.9", b"HTTP/3", b"HTTP/9.9"):
            self.assertIn(await self.refused(request(version=version) + request()), ([505], [400]), version)
        self.assertIn(await self.refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ([505], [400]))
        self.assert_nobody_was_asked()

    async def test_a_later_version_of_1(self) -> None:
        """
        C{HTTP/1.2} is read as C{HTTP/1.1} (RFC 9110, section 2.5).
        """
        self.assertEqual((await self.reply(request(version=b"HTTP/1.2"))).code, 200)


class SizeTests(AbuseCase):
    """
    Heads that are too long.
    """

    async def test_50000_bytes(self) -> None:
        """
        50,000 bytes of headers are permitted by default, and pass.
        """
        value = b"a" * 5000
        lines = [b"X-%d: %b" % (number, value) for number in range(10)]
        self.assertEqual((await self.reply(request(URI, *lines))).code, 200)
        self.assertEqual([self.far.request.values(b"x-%d" % number) for number in range(10)], [[value]] * 10)

    async def test_more_than_the_limit(self) -> None:
        """
        A head above the limit is refused, whatever it is that is long.
        """
        long = b"a" * 65536
        lines = {
            "target": request(URI + long),
            "method": request(method=b"A" * 65536),
            "value": request(URI, b"X-A: " + long),
            "name": request(URI, long + b": a"),
            "secret": request().replace(b"s3cret", long),
            "lines": request(URI, *[b"X-A: " + b"a" * 1000] * 70),
        }
        for what, data in lines.items():
            self.assertIn(await self.refused(data), ([431], [414]), what)
        self.assert_nobody_was_asked()

    async def test_a_head_without_an_end(self) -> None:
        """
        It is refused before its end, which never comes: no more is kept than the limit.
        """
        for data in (
            b"a" * 70_000,
            b"GET " + b"a" * 70_000,
            request(URI, b"X-A: " + b"a" * 70_000)[:-4],
            b"\r\n" * 40_000,
        ):
            self.assertIn(await self.refused(data), ([431], [400], [414]), data[:20])
        self.assert_nobody_was_asked()

    async def test_just_within_the_limit(self) -> None:
        """
        The limit itself is permitted.
        """
        self.gateway(max_head_bytes=1000)
        base = len(request(URI, b"X-A: "))
        self.assertEqual((await self.reply(request(URI, b"X-A: " + b"a" * (1000 - base)))).code, 200)
        self.assertEqual((await self.reply(request(URI, b"X-A: " + b"a" * (1001 - base)))).code, 431)

    async def test_headers(self) -> None:
        """
        100 lines of headers are permitted, and no more.
        """
        base = 2  # Host and the secret.
        self.assertEqual((await self.reply(request(URI, *[b"X-A: a"] * (100 - base)))).code, 200)
        self.assertEqual((await self.reply(request(URI, *[b"X-A: a"] * (101 - base)))).code, 431)

    async def test_an_answer_that_nobody_reads(self) -> None:
        """
        Requests without end from a client that reads no answer: the gateway stops reading as well.
        """
        client = await self.client()
        client.connection.pauseProducing()
        many = request(b"http://a/") * 1000
        for _ in range(100):
            client.send(many)
            await self.turn()
        await self.pause(0.2)
        self.assertLess(self.answered(), 100_000)

    def answered(self) -> int:
        """
        Count the requests that were refused.
        """
        return sum(count for name, count in self.forwarder.counters.snapshot().items() if "refused" in name)
