"""
Tests of L{matrix_federation_agent._gateway.options}.
"""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout
from pathlib import Path

from twisted.python.usage import UsageError

from matrix_federation_agent import ProxyPolicy
from matrix_federation_agent._gateway.configuration import Configuration
from matrix_federation_agent._gateway.options import GatewayOptions
from matrix_federation_agent._gateway.settings import settings
from tests.case import TestCase

ENTRANCE = ("--listen", "tcp:8009", "--secret-file", "s")


def parsed(*arguments: str) -> Configuration:
    """
    Parse a command line.
    """
    options = GatewayOptions()
    options.parseOptions(arguments)
    return options.configuration


class OptionTests(TestCase):
    """
    C{twist matrix-federation-gateway ...}.
    """

    def assert_refused(self, arguments: tuple[str, ...], expected: str) -> None:
        """
        Assert how an error begins.
        """
        error = self.assertRaises(UsageError, parsed, *arguments)
        self.assertTrue(str(error).startswith(expected), str(error))

    def test_values(self) -> None:
        """
        Numbers, lists, switches and texts reach their policies.
        """
        found = parsed(
            *ENTRANCE, "--listen", "unix:/run/s", "--max-requests", "5", "--gateway-idle-timeout", "1.5",
            "--connections-idle-timeout", "2", "--no-system-roots", "--exempt-domain", "*.a", "--exempt-domain", "*.b",
            "--allow-https", "--minimum-tls", "1.3", "--dns", "127.0.0.1:5353", "--sqlite", "file",
        )  # fmt: skip
        self.assertEqual(found.entrance.listen, ("tcp:8009", "unix:/run/s"))
        gateway = found.gateway
        self.assertEqual((gateway.max_requests, gateway.idle_timeout, gateway.allow_https), (5, 1.5, True))
        trust = found.trust
        self.assertEqual(
            (trust.use_system_roots, trust.exempt_domains, trust.minimum_tls), (False, ("*.a", "*.b"), "1.3")
        )
        rest = (found.connections.idle_timeout, found.name_servers.servers, found.store.sqlite)
        self.assertEqual(rest, (2, (("127.0.0.1", 5353),), "file"))

    def test_defaults(self) -> None:
        """
        Whatever is not given is as the policies have it.
        """
        found = parsed(*ENTRANCE)
        owners = {one.owner for one in settings()}
        for policy in (found.gateway, found.trust, found.addresses, found.discovery, found.connections, found.proxies):
            self.assertIn(type(policy), owners)
            self.assertEqual(policy, type(policy)())

    def test_proxies(self) -> None:
        """
        Rules are written as for C{matrix-federation}; the environment is looked at when asked for.
        """
        self.patch(os, "environ", {"https_proxy": "http://p:2"})
        found = parsed(*ENTRANCE, "--proxy", "*.onion=socks5h://h:1", "--proxy-environment", "--proxy-resolve-here")
        rules = [("*.onion", "socks5h://h:1"), ("*", "http://p:2")]
        self.assertEqual(found.proxies, ProxyPolicy(rules, resolve_here=True))

    def test_options_win(self) -> None:
        """
        An option replaces the same setting of the file, and no other.
        """
        path = Path(self.mktemp())
        path.write_text('[gateway]\nlisten = ["tcp:1"]\nsecret_file = "s"\nmax_requests = 5\nallow_https = true\n')
        found = parsed("--config", str(path), "--listen", "tcp:2", "--no-allow-https")
        self.assertEqual(found.entrance.listen, ("tcp:2",))
        self.assertEqual((found.gateway.allow_https, found.gateway.max_requests), (False, 5))

    def test_missing(self) -> None:
        """
        It does not start without a secret and a place to listen.
        """
        self.assert_refused(("--listen", "tcp:1"), "secret_file: without a secret the gateway does not start")
        self.assert_refused(("--secret-file", "s"), "listen: say where, by --listen")

    def test_errors_name_the_option(self) -> None:
        """
        Whoever finds an error, the parser or a policy, it names the option.
        """
        for arguments, expected in [
            (("--bogus",), "unrecognized arguments: --bogus"),
            (("--max-req", "1"), "unrecognized arguments: --max-req 1"),
            (("--max-requests", "many"), "argument --max-requests: 'many' is no whole number"),
            (("--max-requests", "0"), "argument --max-requests: expected a whole number above zero, not 0"),
            (
                ("--gateway-idle-timeout", "1", "--connections-idle-timeout", "0"),
                "argument --connections-idle-timeout: expected a number above zero",
            ),
            (("--minimum-tls", "1.1"), "argument --minimum-tls: invalid choice: '1.1'"),
            (("--deny-network", "ten"), "argument --deny-network: 'ten' does not appear"),
            (("--dns", "localhost"), "argument --dns: 'localhost' is no IP address"),
            (("--proxy", "ftp://h"), "argument --proxy: a proxy is http://"),
            (("--config", "/does/not/exist"), "/does/not/exist: it cannot be read"),
        ]:
            self.assert_refused((*ENTRANCE, *arguments), expected)

    def test_an_error_of_the_environment(self) -> None:
        """
        A variable that is not usable is named itself.
        """
        self.patch(os, "environ", {"https_proxy": "ftp://h"})
        self.assert_refused((*ENTRANCE, "--proxy-environment"), "https_proxy: a proxy is")

    def test_errors_cannot_control_a_terminal(self) -> None:
        """
        Control characters are escaped.
        """
        self.assert_refused(("--\x1b[31m",), r"unrecognized arguments: --\x1b[31m")
        self.assert_refused(("--config", "\x1b"), r"\x1b: it cannot be read")

    def test_help(self) -> None:
        """
        C{--help} explains every option, by table, and ends with status 0.
        """
        printed = io.StringIO()
        with redirect_stdout(printed):
            end = self.assertRaises(SystemExit, parsed, "--help")
        text = " ".join(printed.getvalue().split())
        self.assertEqual((end.code, [one.option for one in settings() if f" {one.option}" not in text]), (0, []))
        for said in ("[trust]:", "--max-requests N under way at the same time", "default: 2000", "--no-system-roots"):
            self.assertIn(said, text)

    def test_usage_is_short(self) -> None:
        """
        What C{twist} shows after an error does not push that off the screen.
        """
        self.assertEqual(len(str(GatewayOptions()).splitlines()), 2)
