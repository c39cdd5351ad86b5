"""
Tests of C{matrix_federation_agent._cli.parser} and C{settings}.
"""

from __future__ import annotations

import os
from ipaddress import ip_network
from typing import cast

from twisted.web.http_headers import Headers

from matrix_federation_agent import AddressPolicy, ProxyPolicy, ServerName, TrustPolicy, __version__
from matrix_federation_agent._cli.check import Check
from matrix_federation_agent._cli.demo import Demo
from matrix_federation_agent._cli.parser import parse
from matrix_federation_agent._cli.request import Request
from matrix_federation_agent._cli.resolve import Resolve
from matrix_federation_agent._cli.settings import Settings, setting_error
from matrix_federation_agent._policies import SPECIAL_PURPOSE
from matrix_federation_agent.errors import ConfigurationError
from tests.case import TestCase
from tests.cli.kit import command, refused

NAME = ServerName.parse("a.example")


class ResolveTests(TestCase):
    """
    C{resolve}.
    """

    def test_defaults(self) -> None:
        """
        Without options the policies are the package's own.
        """
        self.assertEqual(Resolve(NAME, Settings()), command("resolve", "a.example"))

    def test_policies(self) -> None:
        """
        Options become policies, each repeated one all of its values.
        """
        options = "--no-system-roots --ca-file a --ca-file b --minimum-tls 1.3 --exempt-domain *.onion --timeout 2.5"
        networks = "--exempt-network fc00::/8 --allow-network 10.1.0.0/16 --allow-network ::1 --dns [::1]:5353"
        found = cast("Resolve", command("resolve", "a.example", *options.split(), *networks.split())).settings
        trust = TrustPolicy(["a", "b"], False, ["*.onion"], ["fc00::/8"], "1.3")
        addresses = AddressPolicy(allow=["10.1.0.0/16", "::1"])
        self.assertEqual(Settings(trust, addresses, ("::1", 5353), 2.5), found)

    def test_denied_networks_are_further_ones(self) -> None:
        """
        Denying one more network does not permit the special-purpose ones.
        """
        found = cast("Resolve", command("resolve", "a.example", "--deny-network", "8.8.8.0/24")).settings
        self.assertEqual((*SPECIAL_PURPOSE, ip_network("8.8.8.0/24")), found.addresses.deny)

    def test_proxies(self) -> None:
        """
        Each is for a pattern, or for every host; equals signs may stand in a password.
        """
        options = ["--proxy", "*.onion=socks5h://[::1]:9050", "--proxy", "10.0.0.0/8=direct", "--proxy-resolve-here"]
        found = cast("Resolve", command("resolve", "a.example", *options, "--proxy", "http://u:a=b@h")).settings
        rules = [("*.onion", "socks5h://[::1]:9050"), ("10.0.0.0/8", "direct"), ("*", "http://u:a=b@h")]
        self.assertEqual(ProxyPolicy(rules, resolve_here=True), found.proxies)

    def test_proxies_of_the_environment(self) -> None:
        """
        They count when they are asked for, after those of the command line.
        """
        self.patch(os, "environ", {**os.environ, "https_proxy": "http://h:1", "no_proxy": "", "NO_PROXY": ""})
        lines = [[], ["--proxy-environment"], ["--proxy-environment", "--proxy", "*.onion=socks5h://s:2"]]
        found = [cast("Resolve", command("resolve", "a.example", *line)).settings.proxies for line in lines]
        everything, onions = ("*", "http://h:1"), ("*.onion", "socks5h://s:2")
        self.assertEqual([ProxyPolicy(), ProxyPolicy([everything]), ProxyPolicy([onions, everything])], found)

    def test_names_may_begin_with_a_hyphen(self) -> None:
        """
        Two hyphens end the options, as everywhere.
        """
        found = command("resolve", "--json", "--", "-a.example")
        self.assertEqual(Resolve(ServerName.parse("-a.example"), Settings(), json=True), found)


class RequestTests(TestCase):
    """
    C{request}.
    """

    def request(self, *arguments: str) -> Request:
        """
        Parse a request.
        """
        return cast("Request", command("request", "a.example:443", "/p%2F?q=%20", *arguments))

    def test_url(self) -> None:
        """
        Name, path and query are taken verbatim.
        """
        paths = ["/", "/p%2F?q=%20", "/p?", "//p/../?a?b"]
        found = [cast("Request", command("request", "a.example:443", path)).url for path in paths]
        self.assertEqual([f"matrix-federation://a.example:443{path}".encode() for path in paths], found)

    def test_methods(self) -> None:
        """
        GET; POST when there is a body, be it empty; or what is asked for.
        """
        lines: list[list[str]] = [[], ["--data", "{}"], ["--data", ""], ["-X", "PUT", "--data", "x"], ["-X", "HEAD"]]
        found = [(self.request(*line).method, self.request(*line).body) for line in lines]
        expected = [(b"GET", None), (b"POST", b"{}"), (b"POST", b""), (b"PUT", b"x"), (b"HEAD", None)]
        self.assertEqual(expected, found)

    def test_headers(self) -> None:
        """
        Headers keep their order and their repetitions.
        """
        found = self.request("-H", "X: 1", "-H", "X: 2", "-H", "Y: 3").headers
        self.assertEqual(Headers({b"X": [b"1", b"2"], b"Y": [b"3"]}), found)

    def test_bodies_are_json_unless_said(self) -> None:
        """
        A body has the media type of all Matrix bodies, or the caller's.
        """
        lines = [["--data", "{}"], ["--data", "x", "-H", "content-type: text/plain"]]
        found = [self.request(*line).headers.getRawHeaders(b"Content-Type") for line in lines]
        self.assertEqual([[b"application/json"], [b"text/plain"]], found)


class CheckTests(TestCase):
    """
    C{check}.
    """

    def test_options(self) -> None:
        """
        It takes a name, and the policies of every other command.
        """
        self.assertEqual(Check(NAME, Settings()), command("check", "a.example"))
        options = "--client-certificate a.pem --client-key b.pem --ct-log-list c.json --required-scts 2"
        found = command("check", "a.example", "--json", *options.split())
        trust = TrustPolicy(client_certificate="a.pem", client_key="b.pem", ct_log_list="c.json", required_scts=2)
        self.assertEqual(Check(NAME, Settings(trust), json=True), found)


class DemoTests(TestCase):
    """
    C{demo}.
    """

    def test_options(self) -> None:
        """
        It takes the options that make sense for it.
        """
        self.assertEqual(Demo(), command("demo"))
        self.assertEqual(Demo(timeout=9.0, json=True), command("demo", "--json", "--timeout", "9"))


class UsageTests(TestCase):
    """
    What is not usable.
    """

    def test_unusable(self) -> None:
        """
        Each of these is an error of its own argument, with status 2.
        """
        lines = {
            "": "COMMAND",
            "inspect a": "COMMAND",
            "resolve": "NAME",
            "resolve a/b": "NAME",
            "resolve a --jso": "--jso",
            "resolve a --dns b": "--dns",
            "resolve a --timeout 0": "--timeout",
            "resolve a --minimum-tls 1.1": "--minimum-tls",
            "resolve a --exempt-domain b%c": "--exempt-domain",
            "resolve a --exempt-network b": "--exempt-network",
            "resolve a --allow-network 10.0.0.1/8": "--allow-network",
            "resolve a --deny-network b": "--deny-network",
            "resolve a --client-key b": "--client-key",
            "resolve a --required-scts b": "--required-scts",
            "resolve a --required-scts -1": "--required-scts",
            "resolve a --required-scts 1": "--required-scts",
            "check": "NAME",
            "check a --explain": "--explain",
            "resolve a --proxy socks5://h": "--proxy",
            "resolve a --proxy b%c=http://h": "--proxy",
            "resolve a --proxy http://u:p": "--proxy",
            "request a": "PATH",
            "request a b": "PATH",
            "request a /\N{SNOWMAN}": "PATH",
            "request a /\udc80": "PATH",
            "request a /b#c": "PATH",
            "request a ?b": "PATH",
            "request a / -X @": "-X/--request",
            "request a / -H b": "-H/--header",
            "request a / --data @/nowhere/at/all": "--data",
            "demo --ca-file x": "--ca-file",
        }
        for line, argument in lines.items():
            said = refused(*line.split())
            last = said.errors.splitlines()[-1]
            self.assertEqual((2, b""), (said.status, said.output), line)
            self.assertRegex(last, f"^matrix-federation.*: error: .*{argument}")

    def test_control_characters_are_escaped(self) -> None:
        """
        What is repeated in an error cannot control the terminal.
        """
        for line in (["resolve", "a\x1b[2J"], ["resolve", "a", "b\x1b[2J"], ["request", "a", "/\x1b[2J"]):
            said = refused(*line)
            self.assertNotIn("\x1b", said.errors)
            self.assertIn("x1b[2J", said.errors)

    def test_settings_with_an_option(self) -> None:
        """
        An error that comes later, from a file for instance, names the option as well.
        """
        names = ("client_certificate", "client_key", "ct_log_list", "required_scts")
        found = [setting_error(ConfigurationError.of(name, "bar")) for name in names]
        self.assertEqual([f"argument --{name.replace('_', '-')}: bar" for name in names], found)

    def test_settings_without_an_option(self) -> None:
        """
        An error in something that is no option names it as it is.
        """
        self.assertEqual("foo: bar", setting_error(ConfigurationError.of("foo", "bar")))

    def test_version_and_help(self) -> None:
        """
        Both are said on standard output, with status 0.
        """
        self.assertEqual((0, f"matrix-federation {__version__}\n".encode()), _output("--version"))
        for line in ("-h", "resolve -h", "request -h", "check -h", "demo -h"):
            status, output = _output(*line.split())
            self.assertEqual(0, status)
            self.assertIn(b"exit status:", output)

    def test_colour(self) -> None:
        """
        Colours are welcome unless they are refused.
        """
        found = [parse(line.split()).colour for line in ("demo", "demo --no-color", "resolve a --no-color")]
        self.assertEqual([True, False, False], found)


def _output(*arguments: str) -> tuple[int, bytes]:
    said = refused(*arguments)
    return said.status, said.output
