"""
Tests of C{matrix_federation_agent._cli.resolve} and C{report}.
"""

from __future__ import annotations

from typing import Any

from matrix_federation_agent import LocatedTarget, Route, ServerName, Step
from matrix_federation_agent._cli.report import failure_json, failure_lines, route_lines
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._failures import to_json
from matrix_federation_agent.errors import Attempt, ConnectionFailed
from matrix_federation_agent.testing import Fault
from tests.case import TestCase
from tests.cli.kit import FederationCase, MemoryConsole

KEYS = ["server_name", "effective", "delegated", "step", "steps", "host_header", "tls_name", "targets", "failure"]


class TextTests(FederationCase):
    """
    C{resolve} for people.
    """

    async def test_delegated(self) -> None:
        """
        Each step has a line; then come identity and location.
        """
        self.federation.add_server("a.test", "3.3", address="198.51.100.77")
        said = await self.run_command("resolve", "a.test")
        expected = """\
a.test
  step 3: https://a.test/.well-known/matrix/server: delegates to matrix.a.test
  step 3.3: _matrix-fed._tcp.matrix.a.test leads to fed.matrix.a.test:8443
  Host: matrix.a.test
  TLS name: matrix.a.test
  target fed.matrix.a.test:8443
    address 198.51.100.77
"""
        self.assertEqual((0, expected, ""), (said.status, said.output.decode(), said.errors))

    async def test_refused_address(self) -> None:
        """
        When there is no address to connect to, that is a failure, and why is said.
        """
        self.federation.add_server("a.test", fault=Fault.PRIVATE_ADDRESS)
        said = await self.run_command("resolve", "a.test")
        why = "address 10.0.0.1 was refused by the address policy (it lies in 10.0.0.0/8)"
        self.assertEqual(1, said.status)
        self.assertIn(f"    refused: {why}\n", said.output.decode())
        expected = f"matrix-federation: a.test: {why}\n  a.test:8448 (10.0.0.1) [policy]: {why}\n"
        self.assertEqual(expected, said.errors)

    async def test_proxies(self) -> None:
        """
        A proxy stands where the addresses are, with what is not checked behind it.
        """
        said = await self.run_command(
            "resolve", "abc.onion:1", "--proxy", "socks5h://u:p@192.0.2.50:9050", "--exempt-domain", "*.onion"
        )
        last = "    through socks5h://192.0.2.50:9050 (certificate not checked: domain *.onion)"
        self.assertEqual((0, last, ""), (said.status, said.output.decode().splitlines()[-1], said.errors))

    async def test_exempt(self) -> None:
        """
        An unchecked certificate is mentioned, with the rule.
        """
        said = await self.run_command("resolve", "192.0.2.7", "--exempt-network", "192.0.2.0/24")
        self.assertIn(b"address 192.0.2.7 (certificate not checked: network 192.0.2.0/24)\n", said.output)

    async def test_failure(self) -> None:
        """
        What was found before the failure is still explained.
        """
        self.federation.add_server("a.test", "4", Fault.NO_SERVICE)
        said = await self.run_command("resolve", "a.test")
        self.assertEqual(1, said.status)
        self.assertIn(b"  step 4: _matrix-fed._tcp.a.test says that there is no such service\n", said.output)
        self.assertRegex(said.errors, "^matrix-federation: a.test: DNS says that the service is not available")

    async def test_name_server_is_asked(self) -> None:
        """
        C{--dns} is where every question goes.
        """
        await self.run_command("resolve", "a.test")
        asked = {(name, kind) for name, kind in self.federation.name_server.queries if kind != "AAAA"}
        self.assertEqual({("a.test", "A"), ("_matrix-fed._tcp.a.test", "SRV"), ("_matrix._tcp.a.test", "SRV")}, asked)

    async def test_colours(self) -> None:
        """
        Colours surround the text and change nothing of it.
        """
        self.federation.add_server("a.test", "6")
        plain = await self.run_command("resolve", "a.test")
        coloured = await self.run_command("resolve", "a.test", colour=True)
        self.assertIn(b"\x1b[36mstep 6\x1b[0m", coloured.output)
        codes = [b"\x1b[%sm" % code for code in (b"0", b"1", b"32", b"36")]
        text = coloured.output
        for code in codes:
            text = text.replace(code, b"")
        self.assertEqual(plain.output, text)


class JSONTests(FederationCase):
    """
    C{resolve --json}.
    """

    async def resolve(self, name: str, status: int, *options: str) -> Any:
        """
        Resolve, and check what is always so.
        """
        said = await self.run_command("resolve", name, "--json", *options)
        self.assertEqual((status, KEYS), (said.status, list(said.json)))
        self.assertEqual(status == 0, said.errors == "")
        return said.json

    async def test_delegated(self) -> None:
        """
        A route, by value.
        """
        self.federation.add_server("a.test", "3.2", delegated_to="m.test:443", address="198.51.100.77")
        found = await self.resolve("a.test", 0)
        expected = {
            "server_name": "a.test",
            "effective": "m.test:443",
            "delegated": True,
            "step": "3.2",
            "steps": [
                {"number": "3", "found": "https://a.test/.well-known/matrix/server: delegates to m.test:443"},
                {"number": "3.2", "found": "m.test:443 has an explicit port"},
            ],
            "host_header": "m.test:443",
            "tls_name": "m.test",
            "targets": [
                {
                    "host": "m.test",
                    "port": 443,
                    "addresses": ["198.51.100.77"],
                    "refused": [],
                    "exempt": [],
                    "proxy": None,
                }
            ],
            "failure": None,
        }
        self.assertEqual(expected, found)

    async def test_proxies(self) -> None:
        """
        A proxy is a way without an address, shown without its credentials.
        """
        options = ["--proxy", "socks5h://user:s3cr3t@192.0.2.50:9050", "--exempt-domain", "*.onion"]
        (target,) = (await self.resolve("abc.onion:1", 0, *options))["targets"]
        expected = {
            "host": "abc.onion",
            "port": 1,
            "addresses": [],
            "refused": [],
            "exempt": [{"address": None, "rule": "domain *.onion"}],
            "proxy": "socks5h://192.0.2.50:9050",
        }
        self.assertEqual(expected, target)

    async def test_literals_that_no_proxy_is_asked_for(self) -> None:
        """
        A denied address is not reached through a proxy either.
        """
        found = await self.resolve("10.0.0.1", 1, "--proxy", "http://192.0.2.50:3128")
        self.assertEqual(("AddressDenied", "policy"), (found["failure"]["type"], found["failure"]["phase"]))

    async def test_exempt(self) -> None:
        """
        An unchecked certificate, with the rule.
        """
        found = await self.resolve("192.0.2.7:1", 0, "--exempt-network", "192.0.2.0/24")
        self.assertEqual([{"address": "192.0.2.7", "rule": "network 192.0.2.0/24"}], found["targets"][0]["exempt"])
        self.assertFalse(found["delegated"])

    async def test_refused(self) -> None:
        """
        A refused address stands with its target, and in the failure.
        """
        found = await self.resolve("127.0.0.1", 1)
        reason = "address 127.0.0.1 was refused by the address policy (it lies in 127.0.0.0/8)"
        error = {"type": "AddressDenied", "phase": "policy", "reason": reason}
        self.assertEqual([{"address": "127.0.0.1", **error}], found["targets"][0]["refused"])
        attempt = {"target": "127.0.0.1:8448", "address": "127.0.0.1", **error}
        self.assertEqual({**error, "attempts": [attempt]}, found["failure"])

    async def test_denied_by_the_user(self) -> None:
        """
        C{--deny-network} denies.
        """
        found = await self.resolve("8.8.8.8", 1, "--deny-network", "8.8.0.0/16")
        self.assertEqual("AddressDenied", found["failure"]["type"])

    async def test_failure(self) -> None:
        """
        A failure of DNS.
        """
        self.federation.add_server("a.test", fault=Fault.DNS_FAILS)
        found = await self.resolve("a.test", 1)
        self.assertEqual(("ResolutionFailed", "dns"), (found["failure"]["type"], found["failure"]["phase"]))
        self.assertEqual([], found["targets"])

    async def test_timeout(self) -> None:
        """
        What takes too long is cancelled; the keys stay.
        """
        self.federation.add_server("a.test", fault=Fault.DNS_SILENT)
        found = await self.resolve("a.test", 1, "--timeout", "0.2")
        failure: dict[str, Any] = {
            "type": "CommandTimedOut",
            "phase": None,
            "reason": "cancelled: not done within 0.2 s (--timeout)",
            "attempts": [],
        }
        self.assertEqual((None, [], failure), (found["effective"], found["targets"], found["failure"]))


class ReportTests(TestCase):
    """
    What is written about routes and failures.
    """

    def test_control_characters_are_escaped(self) -> None:
        """
        Whatever a step or an address holds, it cannot control the terminal.
        """
        name = ServerName.parse("a.test")
        error = ConnectionFailed(
            "a.test", "said \x1b[2J", attempts=(Attempt("\x1b", "\x1b", ConnectionFailed("", "\x1b")),)
        )
        located = LocatedTarget(Target(name, 1), ("\x1b",), error.attempts, (("\x1b", "\x1b"),))
        route = Route(name, name, (Step("\x1b", "\x1b"),), (located,))
        lines = [*route_lines(route, MemoryConsole().console()), *failure_lines(error)]
        self.assertNotIn("\x1b", "".join(lines))
        self.assertNotIn("\x7f", to_json({"found": "\x1b\x7f\x9b"}))

    def test_every_attempt_has_a_line(self) -> None:
        """
        The headline does not repeat them, whichever way they were listed.
        """
        attempts = tuple(Attempt("a.test:1", f"192.0.2.{n}", ConnectionFailed("", f"no {n}")) for n in (1, 2))
        listing = "; ".join(map(str, attempts))
        lines = ["  a.test:1 (192.0.2.1) [tcp]: no 1", "  a.test:1 (192.0.2.2) [tcp]: no 2"]
        for reason in ("all attempts failed: ", "no connection within 30 s; "):
            error = ConnectionFailed("a.test", reason + listing, attempts=attempts)
            self.assertEqual([f"a.test: {reason.rstrip(':; ')}", *lines], list(failure_lines(error)))

    def test_a_failure_of_nobody(self) -> None:
        """
        An error that names no server begins with its reason.
        """
        self.assertEqual(["why"], list(failure_lines(ConnectionFailed("", "why"))))
        expected = {"type": "ConnectionFailed", "phase": "tcp", "reason": "why", "attempts": []}
        self.assertEqual(expected, failure_json(ConnectionFailed("", "why")))


class ExplainTests(FederationCase):
    """
    C{resolve --explain}.
    """

    async def test_text(self) -> None:
        """
        What is remembered has a line each: which header settled the lifetime among others.
        """
        document = {"m.server": "matrix.a.test:8443"}
        self.federation.serve_well_known("a.test", document, headers={"Cache-Control": "max-age=1000"})
        self.federation.name_server.add_address("matrix.a.test", "192.0.2.7")
        said = await self.run_command("resolve", "a.test", "--explain")
        found = "delegates to matrix.a.test:8443 (for 1000 s, by max-age=1000)"
        times = "0 s old, expires in 1000 s, next try in 800 s"
        self.assertIn(f"  known well_known a.test: {found} ({times})\n", said.output.decode())

    async def test_json(self) -> None:
        """
        JSON has a key more, and the same kinds of knowledge.
        """
        self.federation.add_server("a.test", "3.4")
        said = await self.run_command("resolve", "a.test", "--explain", "--json")
        self.assertEqual({"well_known", "srv", "aaaa", "a"}, {one["kind"] for one in said.json["known"]})
