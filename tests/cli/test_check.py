"""
Tests of C{matrix_federation_agent._cli.check} and C{inspections}.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from matrix_federation_agent import Inspection, LocatedTarget, Route, ServerName, ShownCertificate, Step
from matrix_federation_agent._cli.check import Check
from matrix_federation_agent._cli.inspections import check_lines, failed_attempts, trouble_lines
from matrix_federation_agent._cli.settings import Settings
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent.errors import Attempt, ConnectionFailed, ServiceUnavailable
from matrix_federation_agent.testing import Certificate, Fault
from tests.case import TestCase
from tests.cli.kit import FederationCase, MemoryConsole
from tests.cli.test_resolve import KEYS
from tests.tls.logs import Authority, SigningLog, write_log_list

NAME = ServerName.parse("a.test")
NOW = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
SHOWN = ShownCertificate("CN=a", "O=Root", NOW, NOW + timedelta(days=30), ("a", "b"), 7)


def route(*inspections: Inspection, addresses: tuple[str, ...] = (), refused: tuple[Attempt, ...] = ()) -> Route:
    """
    Make a route to one target.
    """
    located = LocatedTarget(Target(NAME, 8448), addresses, refused, inspections=inspections)
    return Route(NAME, NAME, (Step("6", "the default port"),), (located,))


def lines(*inspections: Inspection, now: datetime = NOW, **settings: Any) -> list[str]:
    """
    Write what stands below the first target.
    """
    found = list(check_lines(route(*inspections, **settings), now, MemoryConsole().console()))
    return found[found.index("  target a.test:8448") + 1 :]


def parsed(certificate: Certificate) -> x509.Certificate:
    """
    Read a certificate as any client would.
    """
    return x509.load_pem_x509_certificate(certificate.certificate_pem)


class TextTests(FederationCase):
    """
    C{check} for people.
    """

    async def test_a_sound_server(self) -> None:
        """
        The way, and then what the address showed; the exit status is 0.
        """
        certificate = self.federation.certificates.issue("a.test")
        self.federation.serve_homeserver("a.test", "192.0.2.9", 8448, certificate=certificate)
        self.federation.name_server.add_address("a.test", "192.0.2.9")
        said = await self.run_command("check", "a.test:8448")
        shown = parsed(certificate)
        expected = f"""\
a.test:8448
  step 2: a.test:8448 has an explicit port
  Host: a.test:8448
  TLS name: a.test
  target a.test:8448
    address 192.0.2.9: TLSv1.3 TLS_AES_256_GCM_SHA384
      certificate names: a.test
      subject: CN=a.test
      issuer: {shown.issuer.rfc4514_string()}
      valid: {shown.not_valid_before_utc:%Y-%m-%d %H:%M} to {shown.not_valid_after_utc:%Y-%m-%d %H:%M} UTC
      certificates sent: 1
"""
        self.assertEqual((0, expected, ""), (said.status, said.output.decode(), said.errors))

    async def test_one_of_two_addresses(self) -> None:
        """
        A sound address hides none that is broken: the exit status is 1, and standard error names it.
        """
        for address, names in (("192.0.2.8", ("a.test",)), ("192.0.2.9", ("b.test",))):
            self.federation.serve_homeserver("a.test", address, 8448, certificate_names=names)
            self.federation.name_server.add_address("a.test", address)
        said = await self.run_command("check", "a.test:8448")
        self.assertIn("    address 192.0.2.8: TLSv1.3", said.output.decode())
        self.assertIn("    address 192.0.2.9: [tls] certificate rejected: ", said.output.decode())
        first, second = said.errors.splitlines()
        self.assertEqual((1, "matrix-federation: a.test:8448: 1 failed, 1 passed"), (said.status, first))
        self.assertRegex(second, r"^  a\.test:8448 \(192\.0\.2\.9\) \[tls\]: certificate rejected: ")

    async def test_exempt(self) -> None:
        """
        An unchecked certificate passes, with the rule in yellow.
        """
        self.federation.add_server("a.test:8448", "2", Fault.EXPIRED)
        said = await self.run_command("check", "a.test:8448", "--exempt-domain", "a.*", colour=True)
        self.assertEqual(0, said.status)
        self.assertIn(b"      \x1b[33mcertificate not checked: domain a.*\x1b[0m\n", said.output)

    async def test_refused_address(self) -> None:
        """
        An address to which the agent may not connect is a failure as well.
        """
        self.federation.add_server("a.test", fault=Fault.PRIVATE_ADDRESS)
        said = await self.run_command("check", "a.test")
        why = "address 10.0.0.1 was refused by the address policy (it lies in 10.0.0.0/8)"
        self.assertIn(f"    refused: {why}\n", said.output.decode())
        expected = f"matrix-federation: a.test: 1 failed, 0 passed\n  a.test:8448 (10.0.0.1) [policy]: {why}\n"
        self.assertEqual((1, expected), (said.status, said.errors))

    async def test_nowhere(self) -> None:
        """
        A route that leads nowhere is explained as by C{resolve}.
        """
        self.federation.add_server("a.test", "4", Fault.NO_SERVICE)
        said = await self.run_command("check", "a.test")
        resolved = await self.run_command("resolve", "a.test")
        self.assertEqual((resolved.status, resolved.output, resolved.errors), (said.status, said.output, said.errors))

    async def test_a_certificate_that_expires_soon(self) -> None:
        """
        That is a warning by the clock of the reactor, and no failure.
        """
        soon = datetime.now(UTC) + timedelta(days=2, hours=12)
        certificate = self.federation.certificates.issue("192.0.2.9", not_after=soon)
        self.federation.serve_homeserver("192.0.2.9", "192.0.2.9", 8448, certificate=certificate)
        said = await self.run_command("check", "192.0.2.9")
        self.assertEqual(0, said.status)
        self.assertIn(f"expires on {soon:%Y-%m-%d %H:%M} UTC (days left: 2)\n", said.output.decode())

    async def test_nothing_is_sent(self) -> None:
        """
        The server is connected to once, and gets no request.
        """
        server = self.federation.add_server("192.0.2.9", "1")
        await self.run_command("check", "192.0.2.9")
        self.assertEqual((1, []), (server.connections, server.requests))


class JSONTests(FederationCase):
    """
    C{check --json}.
    """

    async def check(self, name: str, status: int, *options: str) -> Any:
        """
        Check, and look at what is always so.
        """
        said = await self.run_command("check", name, "--json", *options)
        self.assertEqual((status, ["passed", *KEYS]), (said.status, list(said.json)))
        self.assertEqual((status == 0, status == 0), (said.json["passed"], said.errors == ""))
        return said.json

    async def test_a_sound_server(self) -> None:
        """
        An inspection, by value.
        """
        certificate = self.federation.certificates.issue("192.0.2.9")
        self.federation.serve_homeserver("192.0.2.9", "192.0.2.9", 8448, certificate=certificate)
        (target,) = (await self.check("192.0.2.9", 0))["targets"]
        shown = parsed(certificate)
        end = shown.not_valid_after_utc.isoformat()
        expected = {
            "address": "192.0.2.9",
            "failure": None,
            "tls_version": "TLSv1.3",
            "cipher": "TLS_AES_256_GCM_SHA384",
            "certificate": {
                "subject": "CN=192.0.2.9",
                "issuer": shown.issuer.rfc4514_string(),
                "not_before": shown.not_valid_before_utc.isoformat(),
                "not_after": end,
                "names": ["192.0.2.9"],
                "more_names": 0,
            },
            "chain_length": 1,
            "valid_until": end,
            "exempt": None,
            "transparency": None,
        }
        self.assertEqual([expected], target["inspections"])

    async def test_a_broken_server(self) -> None:
        """
        The keys stay, and what is not known is null.
        """
        self.federation.add_server("192.0.2.9", "1", Fault.REFUSED_PORT)
        (target,) = (await self.check("192.0.2.9", 1))["targets"]
        unknown = ("tls_version", "cipher", "certificate", "valid_until", "exempt", "transparency")
        error = {"type": "ConnectionFailed", "phase": "tcp", "reason": "Connection was refused by other side"}
        expected = {**dict.fromkeys(unknown), "address": "192.0.2.9", "failure": error, "chain_length": 0}
        self.assertEqual([expected], target["inspections"])

    async def test_exempt(self) -> None:
        """
        What nobody verified has no end of trust.
        """
        self.federation.add_server("192.0.2.9", "1", Fault.EXPIRED)
        (target,) = (await self.check("192.0.2.9", 0, "--exempt-network", "192.0.2.0/24"))["targets"]
        (found,) = target["inspections"]
        self.assertEqual(("network 192.0.2.0/24", None), (found["exempt"], found["valid_until"]))

    async def test_an_unreadable_certificate(self) -> None:
        """
        It is null.
        """
        certificate = self.federation.certificates.malformed_san("a")
        self.federation.serve_homeserver("a", "192.0.2.9", 8448, certificate=certificate)
        (target,) = (await self.check("192.0.2.9", 0, "--exempt-network", "192.0.2.0/24"))["targets"]
        self.assertEqual([None], [one["certificate"] for one in target["inspections"]])

    async def test_nowhere(self) -> None:
        """
        Without a target nothing has passed.
        """
        self.federation.add_server("a.test", "4", Fault.NO_SERVICE)
        self.assertEqual("ServiceUnavailable", (await self.check("a.test", 1))["failure"]["type"])

    async def test_timeout(self) -> None:
        """
        What takes too long is cancelled; the keys stay.
        """
        self.federation.add_server("192.0.2.9", "1", Fault.SILENT_TLS)
        found = await self.check("192.0.2.9", 1, "--timeout", "0.2")
        self.assertEqual(("CommandTimedOut", []), (found["failure"]["type"], found["targets"]))


class TransparencyTests(FederationCase):
    """
    C{check --ct-log-list}.
    """

    def setUp(self) -> None:
        """
        Place a server for whose certificate one log vouches.
        """
        super().setUp()
        log, authority, root = SigningLog(), Authority(), Path(self.mktemp())
        certificate = authority.shown(authority.issue(log.promise))
        self.federation.serve_homeserver("ex.com", "192.0.2.9", 8448, certificate=certificate)
        self.federation.name_server.add_address("ex.com", "192.0.2.9")
        root.write_bytes(authority.root_pem)
        listed = write_log_list(self.mktemp(), log.entry())
        self.arguments = ("check", "ex.com:8448", "--ca-file", str(root), "--ct-log-list", listed)

    async def test_text(self) -> None:
        """
        The outcome has a line.
        """
        said = await self.run_command(*self.arguments, "--required-scts", "1")
        expected = "      transparency: valid SCTs of 1 log; Alpha (Example): valid\n"
        self.assertIn(expected, said.output.decode())
        self.assertEqual((0, ""), (said.status, said.errors))

    async def test_json(self) -> None:
        """
        It is a string.
        """
        said = await self.run_command(*self.arguments, "--json")
        ((inspection,),) = [target["inspections"] for target in said.json["targets"]]
        self.assertEqual("valid SCTs of 1 log; Alpha (Example): valid", inspection["transparency"])

    async def test_too_few(self) -> None:
        """
        Where more are required the check has failed, and says why.
        """
        said = await self.run_command(*self.arguments, "--required-scts", "2")
        self.assertEqual(1, said.status)
        self.assertIn("it needs valid SCTs of 2 logs, but has valid SCTs of 1 log; Alpha (Example): valid", said.errors)


class LinesTests(TestCase):
    """
    What is written about inspections.
    """

    def test_everything_that_is_known(self) -> None:
        """
        Each thing has a line.
        """
        seen = Inspection("192.0.2.1", None, "TLSv1.3", "AES", SHOWN, 3, None, "domain *", "2 valid timestamps")
        expected = [
            "    address 192.0.2.1: TLSv1.3 AES",
            "      certificate names: a, b and 7 more",
            "      subject: CN=a",
            "      issuer: O=Root",
            "      valid: 2026-05-06 07:08 to 2026-06-05 07:08 UTC",
            "      certificates sent: 3",
            "      transparency: 2 valid timestamps",
            "      certificate not checked: domain *",
        ]
        self.assertEqual(expected, lines(seen))

    def test_an_empty_certificate(self) -> None:
        """
        What it does not say is said.
        """
        found = lines(Inspection("192.0.2.1", certificate=ShownCertificate("", "", NOW, NOW)))
        expected = ["certificate names: none", "subject: empty", "issuer: empty"]
        self.assertEqual(expected, [line.strip() for line in found[1:4]])

    def test_an_unreadable_certificate(self) -> None:
        """
        One that cannot be shown is mentioned.
        """
        expected = ["      the certificate cannot be read", "      certificates sent: 1"]
        self.assertEqual(expected, lines(Inspection("192.0.2.1", chain_length=1))[1:])

    def test_addresses_that_were_not_looked_at(self) -> None:
        """
        They are listed after the others, as what they are.
        """
        found = lines(Inspection("192.0.2.1"), addresses=("192.0.2.1", "192.0.2.2"))
        self.assertEqual("    address 192.0.2.2: not looked at, as a request would not try so many", found[-1])

    def test_warnings(self) -> None:
        """
        The warning begins 14 days before the first certificate of the chain expires.
        """
        seen = Inspection("192.0.2.1", certificate=SHOWN, valid_until=NOW)
        ages = [timedelta(days=days) for days in (14.001, 14, 13.999, 1.5, 0.5, -0.5)]
        found = ["".join(one for one in lines(seen, now=NOW - age) if "warning" in one) for age in ages]
        warning = "      warning: a certificate of the chain expires on 2026-05-06 07:08 UTC (days left: {})"
        self.assertEqual(["", "", *(warning.format(days) for days in (13, 1, 0, -1))], found)

    def test_control_characters_are_escaped(self) -> None:
        """
        Whatever an inspection holds, it cannot control the terminal.
        """
        error = ConnectionFailed("\x1b", "\x1b")
        shown = ShownCertificate("\x1b", "\x1b", NOW, NOW, ("\x1b",))
        seen = Inspection("\x1b", None, "\x1b", "\x1b", shown, 1, NOW, "\x1b", "\x1b")
        found = route(
            seen, Inspection("\x1b", error), addresses=("", "", "\x1b"), refused=(Attempt("\x1b", "\x1b", error),)
        )
        console = MemoryConsole().console()
        text = "".join([*check_lines(found, NOW, console), *trouble_lines(found, failed_attempts(found))])
        self.assertNotIn("\x1b", text)

    def test_nothing_was_looked_at(self) -> None:
        """
        Then nothing has passed, whatever the reason.
        """
        memory = MemoryConsole()
        status = Check(NAME, Settings())._tell(route(), NOW, memory.console())
        self.assertEqual((1, "matrix-federation: a.test: 0 failed, 0 passed\n"), (status, memory.errors.getvalue()))

    def test_attempts(self) -> None:
        """
        What was refused and what failed are failures, target by target; a route without a target tells its own.
        """
        error = ConnectionFailed("a.test", "why")
        found = route(Inspection("192.0.2.1", error), Inspection("192.0.2.2"), refused=(Attempt("x:1", None, error),))
        expected = [Attempt("x:1", None, error), Attempt("a.test:8448", "192.0.2.1", error)]
        self.assertEqual(expected, failed_attempts(found))
        nowhere = Route(NAME, NAME, (Step("4", "the root"),), failure=ServiceUnavailable("a.test", "not there"))
        self.assertEqual(["a.test: not there"], list(trouble_lines(nowhere, [])))
