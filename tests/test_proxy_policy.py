"""
Tests of C{matrix_federation_agent._policies.proxies} and C{proxy_urls}.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from matrix_federation_agent import ProxyPolicy, ServerName
from matrix_federation_agent._policies.proxy_urls import Credentials, read_proxy
from matrix_federation_agent.errors import ConfigurationError

from .case import TestCase

TOR = "socks5h://127.0.0.1:9050"
WEB = "http://web.example:3128"
SECRET = "s3cr3t"

# Patterns of rules in order, each with its proxy; a host; and the proxy that leads there.
RULES: list[tuple[list[tuple[str, str]], str, str | None]] = [
    ([], "ex.com", None),
    ([("*", WEB)], "ex.com", WEB),
    ([("*", WEB)], "192.0.2.1", WEB),
    ([("*", WEB)], "[2001:db8::1]", WEB),
    ([("*.onion", TOR)], "abc.onion", TOR),
    ([("*.onion", TOR)], "ABC.Onion", TOR),
    ([("*.ONION", TOR)], "abc.onion", TOR),
    ([("*.onion", TOR)], "onion.ex.com", None),
    ([("*.onion", TOR), ("*", WEB)], "abc.onion", TOR),
    ([("*.onion", TOR), ("*", WEB)], "ex.com", WEB),
    ([("*", WEB), ("*.onion", TOR)], "abc.onion", WEB),
    ([("ex.com", "direct"), ("*", WEB)], "ex.com", None),
    ([("ex.com", "direct"), ("*", WEB)], "a.ex.com", WEB),
    ([("e?.com", WEB)], "ex.com", WEB),
    ([("*.*", WEB)], "192.0.2.1", None),
    ([("?*", WEB)], "192.0.2.1", None),
    ([("192.0.2.0/24", WEB)], "192.0.2.1", WEB),
    ([("192.0.2.0/24", WEB)], "198.51.100.1", None),
    ([("192.0.2.0/24", WEB)], "[::ffff:192.0.2.1]", WEB),
    ([("192.0.2.0/24", WEB)], "ex.com", None),
    ([("0.0.0.0/0", WEB)], "ex.com", None),
    ([("0.0.0.0/0", WEB)], "[2001:db8::1]", None),
    ([("::ffff:192.0.2.0/120", WEB)], "192.0.2.1", WEB),
    ([("2001:db8::/32", WEB)], "[2001:db8::1]", WEB),
    ([("::1", WEB)], "[::1]", WEB),
    ([("192.0.2.1", WEB)], "192.0.2.1", WEB),
    ([("192.0.2.1", WEB)], "192.0.2.2", None),
]

# The URL of a proxy, how it is told, and its user and password.
URLS: list[tuple[str, str, tuple[str, str] | None]] = [
    ("http://web.example", "http://web.example:80", None),
    ("https://web.example", "https://web.example:443", None),
    ("socks5h://web.example", "socks5h://web.example:1080", None),
    ("HTTP://web.example:3128/", WEB, None),
    ("http://web.example:", "http://web.example:80", None),
    ("socks5h://[::1]:9050", "socks5h://[::1]:9050", None),
    ("http://[2001:db8::1]", "http://[2001:db8::1]:80", None),
    ("http://u:p@web.example:3128", WEB, ("u", "p")),
    ("http://u@web.example:3128", WEB, ("u", "")),
    ("http://u:@web.example:3128", WEB, ("u", "")),
    ("http://u:a:b@web.example:3128", WEB, ("u", "a:b")),
    ("http://u:a@b@web.example:3128", WEB, ("u", "a@b")),
    ("http://u%40x:%3A%2f%C3%BC@web.example:3128", WEB, ("u@x", ":/ü")),
    ("http://u:ü@web.example:3128", WEB, ("u", "ü")),
    ("socks5h://a%3Ab:p@127.0.0.1:9050", TOR, ("a:b", "p")),
    (f"socks5h://{'u' * 255}:{'p' * 255}@127.0.0.1:9050", TOR, ("u" * 255, "p" * 255)),
]

# What makes no policy; none of it may be repeated where it holds SECRET.
UNUSABLE: list[Callable[[], object]] = [
    lambda: ProxyPolicy(rules=f"http://u:{SECRET}@h"),
    lambda: ProxyPolicy(rules=[f"http://u:{SECRET}@h"]),
    lambda: ProxyPolicy(rules=5),
    lambda: ProxyPolicy(rules=[5]),
    lambda: ProxyPolicy(rules=[("*", WEB, f"{SECRET}")]),
    lambda: ProxyPolicy(rules=[(5, f"http://u:{SECRET}@h")]),
    lambda: ProxyPolicy(rules=[(f"http://u:{SECRET}@h", "*")]),
    lambda: ProxyPolicy(rules=[(f"u:{SECRET}@h:8", "*")]),
    lambda: ProxyPolicy(rules=[(f"http://u:{SECRET}@h", WEB)]),
    lambda: ProxyPolicy(rules=[(f"u:{SECRET}@h:8", "direct")]),
    lambda: ProxyPolicy(rules=[(f"//{SECRET}", "direct")]),
    lambda: ProxyPolicy(rules=[("ex.com:8448", WEB)]),
    lambda: ProxyPolicy(rules=[("bücher.example", WEB)]),
    lambda: ProxyPolicy(rules=[("10.0.0.1/8", WEB)]),
    lambda: ProxyPolicy(rules=[("", WEB)]),
    *(
        lambda url=url: ProxyPolicy(rules=[("*", url)])
        for url in [
            None,
            b"http://h",
            "",
            "h",
            "Direct",
            "http://",
            "http://h:0",
            "http://h:65536",
            f"ftp://u:{SECRET}@h",
            f"http:u:{SECRET}@h",
            f"http://u:{SECRET}@",
            f"http://u:{SECRET}@h i",
            f"http://u:{SECRET}@h:port",
            f"http://u:{SECRET}@h/path",
            f"http://u:{SECRET}@h?query",
            f"http://u:{SECRET}/x@h",
            f"http://u:{SECRET}%ff@h",
            f"http://:{SECRET}@h",
            f"http://u:{SECRET}%0a@h",
            f"http://u%0d:{SECRET}@h",
            f"http://a%3Ab:{SECRET}@h",
            f"socks5h://{SECRET}@h",
            f"socks5h://{SECRET}:@h",
            f"socks5h://u:{SECRET}{'p' * 250}@h",
            f"socks5h://{SECRET}{'u' * 250}:p@h",
            f"socks5://u:{SECRET}@h",
            f"socks4a://u:{SECRET}@h",
        ]
    ),
]

# What no_proxy says, hosts, and whether each is connected to directly.
EXCEPTIONS: list[tuple[str, list[tuple[str, bool]]]] = [
    ("", [("ex.com", False), ("192.0.2.1", False)]),
    ("*", [("ex.com", True), ("192.0.2.1", True)]),
    ("ex.com", [("ex.com", True), ("EX.com", True), ("a.ex.com", True), ("notex.com", False)]),
    (".ex.com", [("ex.com", True), ("a.ex.com", True), ("notex.com", False)]),
    ("*.ex.com", [("ex.com", False), ("a.ex.com", True)]),
    ("a.com,b.com", [("a.com", True), ("b.com", True), ("c.com", False)]),
    (" a.com , b.com\tc.com,,", [("a.com", True), ("b.com", True), ("c.com", True), ("d.com", False)]),
    ("192.0.2.1", [("192.0.2.1", True), ("192.0.2.2", False)]),
    ("192.0.2.0/24", [("192.0.2.1", True), ("[::ffff:192.0.2.1]", True), ("198.51.100.1", False)]),
    ("2001:db8::1", [("[2001:db8::1]", True), ("[2001:db8::2]", False)]),
    ("[2001:db8::1]", [("[2001:db8::1]", True), ("[2001:db8::2]", False)]),
    ("2001:db8::/32", [("[2001:db8::1]", True), ("192.0.2.1", False)]),
    ("ex.com:8448", [("ex.com", False), ("ex.com:8448", True), ("a.ex.com:8448", True), ("ex.com:443", False)]),
    ("[::1]:443", [("[::1]", False), ("[::1]:443", True)]),
    ("my_host,a.com", [("my-host", False), ("a.com", True)]),
]

ENVIRONMENTS: list[tuple[dict[str, str], str | None]] = [
    ({}, None),
    ({"http_proxy": WEB, "HTTP_PROXY": WEB, "ftp_proxy": WEB}, None),
    ({"https_proxy": WEB}, WEB),
    ({"HTTPS_PROXY": WEB}, WEB),
    ({"https_proxy": WEB, "HTTPS_PROXY": TOR}, WEB),
    ({"https_proxy": "", "HTTPS_PROXY": WEB}, WEB),
    ({"all_proxy": WEB}, WEB),
    ({"ALL_PROXY": WEB}, WEB),
    ({"all_proxy": WEB, "ALL_PROXY": TOR}, WEB),
    ({"https_proxy": WEB, "all_proxy": TOR}, WEB),
    ({"HTTPS_PROXY": WEB, "all_proxy": TOR}, WEB),
    ({"https_proxy": "web.example:3128"}, WEB),
    ({"https_proxy": "u:p@web.example:3128"}, WEB),
    ({"https_proxy": WEB, "no_proxy": "ex.com"}, None),
    ({"https_proxy": WEB, "NO_PROXY": "ex.com"}, None),
    ({"https_proxy": WEB, "no_proxy": "a.com", "NO_PROXY": "ex.com"}, WEB),
    ({"https_proxy": WEB, "no_proxy": "", "NO_PROXY": "ex.com"}, None),
]


def told(policy: ProxyPolicy, name: str) -> str | None:
    """Ask for the proxy that leads to a name, as text."""
    host = ServerName(name)
    proxy = policy.proxy_for(host.without_port, host.port)
    return None if proxy is None else str(proxy)


def error_of(make: Callable[[], object]) -> ConfigurationError | None:
    """Find what is wrong with a setting."""
    try:
        make()
    except ConfigurationError as error:
        return error
    return None


class RuleTests(TestCase):
    """L{ProxyPolicy.proxy_for}."""

    def test_the_first_rule_that_covers_the_host_decides(self) -> None:
        """Globs are for names, networks for literals, a star alone for both."""
        for rules, host, expected in RULES:
            self.assertEqual(told(ProxyPolicy(rules=rules), host), expected, f"{rules} {host}")

    def test_policies_are_values(self) -> None:
        """Rules are read from any list; those that were read are rules again."""
        policy = ProxyPolicy(rules=[["*", WEB]])
        self.assertEqual(len({policy, ProxyPolicy(rules=(("*", WEB),)), ProxyPolicy(rules=policy.rules)}), 1)
        self.assertEqual(ProxyPolicy(rules=None), ProxyPolicy())

    def test_no_proxy_by_default(self) -> None:
        """Without settings every connection is direct, and where a proxy is set, it resolves."""
        policy = ProxyPolicy()
        self.assertEqual((policy.rules, policy.resolve_here), ((), False))

    def test_resolve_here_is_a_switch(self) -> None:
        """Text is neither yes nor no."""
        error = error_of(lambda: ProxyPolicy(resolve_here="no"))  # type: ignore[arg-type]
        self.assertEqual(error and error.setting, "resolve_here")


class URLTests(TestCase):
    """L{read_proxy}."""

    def test_urls(self) -> None:
        """Schemes, default ports, brackets, and credentials in percent-encoded UTF-8."""
        for url, text, pair in URLS:
            proxy = read_proxy("rules", url)
            credentials = None if pair is None else Credentials(*pair)
            self.assertEqual((str(proxy), proxy.credentials), (text, credentials), url)

    def test_unusable_settings_name_themselves_and_no_secret(self) -> None:
        """What is no policy is an error of C{rules}, in which no password can be read, nor in its causes."""
        for number, make in enumerate(UNUSABLE):
            error = error_of(make)
            assert error is not None, number
            self.assertEqual(error.setting, "rules", number)
            shown = [error, error.__cause__, error.__context__]
            self.assertNotIn(SECRET, "".join(f"{one} {one!r}" for one in shown), number)

    def test_socks5_is_told_apart(self) -> None:
        """Who writes a scheme that would resolve names here is told which one does not."""
        for scheme in ("socks", "socks4", "socks4a", "socks5"):
            error = error_of(lambda scheme=scheme: read_proxy("rules", f"{scheme}://h"))  # type: ignore[misc]
            self.assertIn(f"write socks5h:// instead of {scheme}://", error.reason if error else "")


class CredentialTests(TestCase):
    """Credentials are nowhere to be read."""

    def test_no_text_tells_them(self) -> None:
        """Neither C{repr} nor C{str} of a policy, a rule, a proxy or the credentials shows them."""
        policy = ProxyPolicy(rules=[("*", f"http://{SECRET}1:{SECRET}2@web.example:3128")])
        (rule,) = policy.rules
        proxy = rule.proxy
        assert proxy is not None
        shown: list[Any] = [policy, rule, proxy, proxy.credentials]
        self.assertNotIn(SECRET, "".join(f"{one} {one!r}" for one in shown))

    def test_they_are_part_of_the_value(self) -> None:
        """Policies that differ in a password differ, and a copy is the same."""
        policies = [ProxyPolicy(rules=[("*", f"http://u:{password}@h")]) for password in "abb"]
        self.assertEqual(len(set(policies)), 2)
        self.assertEqual(pickle.loads(pickle.dumps(policies[0].rules[0].proxy)), policies[0].rules[0].proxy)


class EnvironmentTests(TestCase):
    """L{ProxyPolicy.from_environment}."""

    def test_variables(self) -> None:
        """The variable for https counts, or else that for everything; lower case wins over upper case."""
        for environ, expected in ENVIRONMENTS:
            self.assertEqual(told(ProxyPolicy.from_environment(environ), "ex.com"), expected, str(environ))

    def test_exceptions(self) -> None:
        """Hosts with their subdomains, addresses, networks, ports and the star."""
        for no_proxy, hosts in EXCEPTIONS:
            policy = ProxyPolicy.from_environment({"https_proxy": WEB, "no_proxy": no_proxy})
            found = [(host, told(policy, host) is None) for host, _ in hosts]
            self.assertEqual(found, hosts, no_proxy)

    def test_unusable_variables_are_named(self) -> None:
        """An error names the variable, and no secret."""
        cases = [
            ({"https_proxy": f"ftp://u:{SECRET}@h"}, "https_proxy"),
            ({"https_proxy": "", "ALL_PROXY": f"socks5://u:{SECRET}@h"}, "ALL_PROXY"),
            ({"https_proxy": WEB, "NO_PROXY": "10.0.0.0/33"}, "no_proxy"),
            ({"https_proxy": WEB, "no_proxy": "bücher.example"}, "no_proxy"),
        ]
        for environ, setting in cases:
            error = error_of(lambda environ=environ: ProxyPolicy.from_environment(environ))  # type: ignore[misc]
            assert error is not None
            self.assertEqual((error.setting, SECRET in str(error)), (setting, False))

    def test_resolve_here_is_kept(self) -> None:
        """The switch goes with rules from the environment as well."""
        found = [ProxyPolicy.from_environment(one, resolve_here=True).resolve_here for one in ({}, {"all_proxy": WEB})]
        self.assertEqual(found, [True, True])
