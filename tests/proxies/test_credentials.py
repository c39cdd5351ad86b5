"""
Credentials of proxies are nowhere to be read.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator

import treq
from twisted.internet.defer import Deferred
from twisted.logger import formatEvent
from twisted.python.failure import Failure

from matrix_federation_agent import ConnectionPolicy, MatrixFederationAgent, ProxyPolicy
from matrix_federation_agent._cli.report import failure_json, failure_lines, route_json
from matrix_federation_agent.errors import FederationError
from tests.conformance.case import FederationCase
from tests.proxies.scripted import CountingFactory, ScriptedProxy, WorkingProxy

EX = "192.0.2.1"
PROXY = "192.0.2.50"
USER, PASSWORD = "zaphod", "s3cr3t"
# Also as the proxies are told it.
SECRETS = (USER, PASSWORD, "emFwaG9kOnMzY3IzdA==")

# What proxies of each scheme answer; None is the end of the connection.
FAILURES: list[tuple[str, tuple[bytes | None, ...]]] = [
    ("http", (b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\n\r\n",)),
    ("http", (b"HTTP/1.1 403 zaphod s3cr3t\r\n\r\n",)),
    ("http", (b"zaphod:s3cr3t emFwaG9kOnMzY3IzdA==\r\n\r\n",)),
    ("http", (b"HTTP/1.1 200 OK\r\n\r\nzaphod:s3cr3t",)),
    ("http", (None,)),
    ("http", ()),
    ("https", (b"zaphod:s3cr3t",)),
    ("socks5h", (b"\x05\xff",)),
    ("socks5h", (b"\x05\x02", b"\x01\x01")),
    ("socks5h", (b"\x05\x02", None)),
    ("socks5h", (b"\x05\x02", b"\x01\x00", b"\x05\x01\x00\x01")),
    ("socks5h", (b"\x05\x02", b"\x01\x00", b"s3cr3t")),
    ("socks5h", (b"\x05\x02", b"\x01\x00")),
]


def texts(error: BaseException | None) -> Iterator[str]:
    """
    List everything that may be shown of an error, and of its causes.
    """
    while error is not None:
        yield from (str(error), repr(error), *traceback.format_exception(error))
        yield Failure(error).getTraceback()
        if isinstance(error, FederationError):
            yield from (json.dumps(failure_json(error)), *failure_lines(error))
            yield from (text for attempt in error.attempts for text in texts(attempt.error))
        error = error.__cause__ or error.__context__


class CredentialTests(FederationCase):
    """
    Neither success nor failure shows a user or a password.
    """

    def setUp(self) -> None:
        """
        Keep what is logged.
        """
        super().setUp()
        self.logged = self.keep_log()

    def through(self, scheme: str) -> MatrixFederationAgent:
        """
        Make an agent whose proxy wants credentials.
        """
        url = f"{scheme}://{USER}:{PASSWORD}@{PROXY}:3128"
        limits = ConnectionPolicy(proxy_timeout=0.1, tls_timeout=0.1)
        return self.federation.agent(proxies=ProxyPolicy([("*", url)]), connections=limits)

    def run_proxy(self, proxy: CountingFactory) -> None:
        """
        Let a proxy listen.
        """
        self.federation.listen_tcp(PROXY, 3128, proxy)

    def assert_secret(self, *shown: str) -> None:
        """
        Look into texts, and into the log.
        """
        everything = [*shown, *map(str, self.logged), *(formatEvent(event) for event in self.logged)]
        self.assertEqual([text for text in everything if any(secret in text for secret in SECRETS)], [])

    async def failure(self, scheme: str) -> FederationError:
        """
        Send a request that fails.
        """
        asking: Deferred[object] = self.ask(EX, self.through(scheme))  # type: ignore[assignment]
        error = await self.assertFailure(asking, FederationError)
        assert isinstance(error, FederationError)
        return error

    async def test_success(self) -> None:
        """
        A proxy that does its work, the agent, and the route.
        """
        proxy = WorkingProxy(self.federation)
        self.run_proxy(proxy)
        self.serve(EX, EX)
        agent = self.through("http")
        response = await self.ask(EX, agent)
        route = await agent.resolve(EX)
        shown = (repr(response), (await treq.content(response)).decode(), repr(agent), repr(vars(agent)))
        self.assert_secret(*shown, str(route), repr(route), json.dumps(route_json(route)))
        self.assertIn(SECRETS[2].encode(), proxy.received)

    async def test_failures(self) -> None:
        """
        Whatever a proxy answers, be it the credentials themselves.
        """
        self.run_proxy(proxy := ScriptedProxy())
        for scheme, answers in FAILURES:
            proxy.answers = answers
            self.assert_secret(*texts(await self.failure(scheme)))

    async def test_a_proxy_that_is_not_there(self) -> None:
        """
        Neither does one that was not reached.
        """
        for scheme in ("http", "https", "socks5h"):
            self.assert_secret(*texts(await self.failure(scheme)))

    def test_the_search_finds_them(self) -> None:
        """
        An error and a log that did show them would be found.
        """
        leaking = FederationError("ex.com", "no")
        leaking.__cause__ = ValueError(f"http://{USER}:{PASSWORD}@h")
        self.assertRaises(self.failureException, self.assert_secret, *texts(leaking))
        self.logged.append({"log_format": "{proxy}", "proxy": PASSWORD})
        self.assertRaises(self.failureException, self.assert_secret)
