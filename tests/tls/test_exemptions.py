"""
Tests of C{matrix_federation_agent._tls.exemptions}, and of what is counted of handshakes.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from time import time

from twisted.internet.defer import CancelledError
from twisted.logger import LogLevel, capturedLogs

from matrix_federation_agent import Counters, ServerName, TrustPolicy
from matrix_federation_agent._connect.handshake import TrustReplaced
from matrix_federation_agent._connect.outcomes import Outcomes
from matrix_federation_agent._tls.exemptions import ExemptionLog
from matrix_federation_agent._tls.trust import TrustGeneration
from matrix_federation_agent._tls.verification import VerifiedConnectionCreator
from matrix_federation_agent.errors import (
    CertificateRejected,
    ConfigurationError,
    ConnectionFailed,
    HandshakeFailed,
    TimedOut,
)
from matrix_federation_agent.testing import Fault
from tests.case import TestCase
from tests.conformance.case import FederationCase
from tests.connect.in_memory import IDENTITY, TARGET

ADDRESS = IPv4Address("192.0.2.1")


class ExemptionLogTests(TestCase):
    """
    L{ExemptionLog}.
    """

    def told(self, log: ExemptionLog, *destinations: str) -> list[str]:
        """
        Note connections, each C{name rule}.

        @return: the names that the log was told of.
        """
        with capturedLogs() as events:
            for destination in destinations:
                name, _, rule = destination.partition(" ")
                log.note(ServerName(name), rule, ADDRESS)
        return [f"{event['effective']} {event['rule']}" for event in events]

    def test_the_event(self) -> None:
        """
        It is of level info, with what a program wants to know as fields.
        """
        with capturedLogs() as events:
            ExemptionLog().note(ServerName("Ex.com:1"), "domain *", ADDRESS)
        (event,) = events
        fields = {name: event[name] for name in ("log_level", "log_namespace", "effective", "rule", "address")}
        expected = {
            "log_level": LogLevel.info,
            "log_namespace": ExemptionLog.__module__,
            "effective": "Ex.com:1",
            "rule": "domain *",
            "address": "192.0.2.1",
        }
        self.assertEqual(fields, expected)

    def test_once_a_destination(self) -> None:
        """
        Another name, another port and another rule are other destinations.
        """
        noted = ["a b", "a b", "a:1 b", "a c", "b c", "a b"]
        self.assertEqual(self.told(ExemptionLog(), *noted), ["a b", "a:1 b", "a c", "b c"])

    def test_the_memory_is_bounded(self) -> None:
        """
        The destination that was longest not connected to is told of again.
        """
        log = ExemptionLog(limit=2)
        self.assertEqual(self.told(log, "a r", "b r", "a r", "c r", "a r", "b r"), ["a r", "b r", "c r", "b r"])

    def test_a_thousand_are_remembered(self) -> None:
        """
        That is the limit unless another is given.
        """
        names = [f"n{number} r" for number in range(1001)]
        log = ExemptionLog()
        self.told(log, *names)
        self.assertEqual(self.told(log, names[1], names[0]), [names[0]])

    def test_forgotten(self) -> None:
        """
        Then everything is told anew.
        """
        log = ExemptionLog()
        self.told(log, "a r")
        log.forget()
        self.assertEqual(self.told(log, "a r"), ["a r"])


class OutcomesTests(TestCase):
    """
    L{Outcomes}.
    """

    def setUp(self) -> None:
        """
        Count nothing yet.
        """
        super().setUp()
        self.counters = Counters()
        self.outcomes = Outcomes(self.counters)
        self.generation = TrustGeneration.load(TrustPolicy(use_system_roots=False))

    def creator(self, exemption: str | None = None) -> VerifiedConnectionCreator:
        """
        Make a creator of connections.
        """
        return VerifiedConnectionCreator(self.generation, IDENTITY, TARGET, exemption, time)

    def end(self, error: BaseException, exemption: str | None = None) -> dict[str, int]:
        """
        End a handshake by an error, which must come through.

        @return: what was counted.
        """

        def ending() -> None:
            with self.outcomes.noted(self.creator(exemption), ADDRESS):
                raise error

        self.assertIs(self.assertRaises(type(error), ending), error)
        return dict(self.counters.snapshot())

    def test_verified(self) -> None:
        """
        A full handshake.
        """
        with self.outcomes.noted(self.creator(), ADDRESS):
            pass
        self.assertEqual(dict(self.counters.snapshot()), {"tls.verified": 1})

    def test_resumed(self) -> None:
        """
        A handshake that went on from an earlier one.
        """
        creator = self.creator()
        creator.resumed = True
        with self.outcomes.noted(creator, ADDRESS):
            pass
        self.assertEqual(dict(self.counters.snapshot()), {"tls.resumed": 1})

    def test_exempt(self) -> None:
        """
        Every connection is counted, and the first is in the log.
        """
        with capturedLogs() as events:
            for _ in range(2):
                with self.outcomes.noted(self.creator("domain *"), ADDRESS):
                    pass
        self.assertEqual(dict(self.counters.snapshot()), {"tls.exempt": 2, "exempt.domain *": 2})
        self.assertEqual([(one["effective"], one["rule"]) for one in events], [("ex.com", "domain *")])

    def test_rejected(self) -> None:
        """
        A refused certificate.
        """
        self.assertEqual(self.end(CertificateRejected("", "")), {"tls.rejected": 1})

    def test_failed(self) -> None:
        """
        A handshake that broke off, and one that took too long.
        """
        self.end(HandshakeFailed("", ""))
        self.assertEqual(self.end(TimedOut("", "", phase="tls")), {"tls.failed": 2})

    def test_no_end(self) -> None:
        """
        What was given up, is made anew, or was declined by the caller, says nothing of the server.
        """
        errors = (CancelledError(), TrustReplaced("", ""), ConnectionFailed("", ""))
        self.assertEqual([self.end(error) for error in errors], [{}, {}, {}])

    def test_an_exempt_handshake_that_failed(self) -> None:
        """
        There is no connection to tell of.
        """
        with capturedLogs() as events:
            counted = self.end(HandshakeFailed("", ""), "domain *")
        self.assertEqual((events, counted), ([], {"tls.failed": 1}))


class AgentTests(FederationCase):
    """
    What an agent tells and counts.
    """

    def counted(self) -> dict[str, int]:
        """
        Read what was counted of TLS.
        """
        return {name: number for name, number in self.agent.counters.snapshot().items() if name.startswith("tls.")}

    def setUp(self) -> None:
        """
        Place a server without C{.well-known} host; exempt a domain.
        """
        super().setUp()
        self.ca_file = Path(self.mktemp())
        self.ca_file.write_bytes(self.certificates.root_pem)
        trust = TrustPolicy(ca_files=[self.ca_file], use_system_roots=False, exempt_domains=["bad*.test"])
        self.agent = self.federation.agent(trust=trust)

    async def test_T3_exempt(self) -> None:
        """
        An exempt destination is in the log once, and again after a reload; its connections are all counted.
        """
        self.federation.add_server("bad.test:8448", "2", Fault.WRONG_NAME)
        with capturedLogs() as events:
            for _ in range(2):
                await self.agent.check("bad.test:8448")
            self.agent.reload_trust()
            await self.agent.check("bad.test:8448")
        told = [(one["effective"], one["rule"]) for one in events if "rule" in one]
        self.assertEqual(told, [("bad.test:8448", "domain bad*.test")] * 2)
        self.assertEqual(self.counted(), {"tls.exempt": 3, "tls.reloads": 1})

    async def test_requests_are_counted(self) -> None:
        """
        One connection for two requests, and one that is refused; well-known fetches count as well.
        """
        self.federation.add_server("a.test", "3.2")
        self.federation.add_server("192.0.2.9", "1", Fault.WRONG_NAME)
        for _ in range(2):
            await self.get("a.test", self.agent)
        await self.fails(self.get("192.0.2.9", self.agent), CertificateRejected)
        self.assertEqual(self.counted(), {"tls.verified": 2, "tls.rejected": 1})

    async def test_failed_handshakes_are_counted(self) -> None:
        """
        A server that speaks no TLS that we accept; one that refuses TCP has no handshake.
        """
        self.federation.add_server("192.0.2.8", "1", Fault.OLD_TLS)
        self.federation.add_server("192.0.2.9", "1", Fault.REFUSED_PORT)
        await self.fails(self.get("192.0.2.8", self.agent), HandshakeFailed)
        await self.fails(self.get("192.0.2.9", self.agent), ConnectionFailed)
        self.assertEqual(self.counted(), {"tls.failed": 1})

    async def test_resumed_connections_are_counted(self) -> None:
        """
        A second connection goes on from the session of the first.
        """
        self.federation.serve_homeserver("192.0.2.9", "192.0.2.9", 8448)
        for _ in range(2):
            response = await self.get("192.0.2.9", self.agent)
            self.assertEqual(response.code, 200)
            self.agent._pool.retire()
        self.assertEqual(self.counted(), {"tls.verified": 1, "tls.resumed": 1})

    def test_T7_every_succession_is_a_reload(self) -> None:
        """
        Whoever reads the files again, it is counted.
        """
        trust = self.agent._trust
        trust.succeed(TrustGeneration.load(trust.generation.policy))
        self.assertEqual(self.counted(), {"tls.reloads": 1})

    def test_T7_reloads_are_counted(self) -> None:
        """
        Those that succeed, and those that fail.
        """
        self.agent.reload_trust()
        self.ca_file.write_bytes(b"nothing")
        for _ in range(2):
            self.assertRaises(ConfigurationError, self.agent.reload_trust)
        self.assertEqual(self.counted(), {"tls.reloads": 1, "tls.reload_failures": 2})
