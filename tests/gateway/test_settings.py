"""
Tests of L{matrix_federation_agent._gateway.settings}.
"""

from __future__ import annotations

import io
import re
from argparse import ArgumentTypeError
from contextlib import redirect_stdout
from typing import Any

import attrs

from matrix_federation_agent import AddressPolicy, ConnectionPolicy, DiscoveryPolicy, ProxyPolicy, TrustPolicy
from matrix_federation_agent._cli import parser
from matrix_federation_agent._gateway import kinds
from matrix_federation_agent._gateway.settings import TABLES, Setting, option_of, settings, summaries
from matrix_federation_agent._policies import GatewayPolicy
from tests.case import TestCase

POLICIES = (TrustPolicy, AddressPolicy, DiscoveryPolicy, ConnectionPolicy, GatewayPolicy, ProxyPolicy)


def setting(key: str, table: str = "") -> Setting:
    """
    Find a setting.
    """
    return next(one for one in settings() if one.key == key and table in ("", one.table))


class TableTests(TestCase):
    """
    The table of settings.
    """

    def test_every_field_is_there(self) -> None:
        """
        Each field of each policy that can be given is a setting.
        """
        fields = {(policy, field.name) for policy in POLICIES for field in attrs.fields(policy) if field.init}
        self.assertEqual(fields - {(one.owner, one.key) for one in settings()}, set())

    def test_every_setting_is_explained(self) -> None:
        """
        No field lacks its C{@ivar}.
        """
        self.assertEqual([str(one) for one in settings() if not one.summary], [])

    def test_options_differ(self) -> None:
        """
        No two settings have the same option, nor do two of a table have the same key.
        """
        names = [one.option for one in settings()]
        keys = [str(one) for one in settings()]
        self.assertEqual((len(set(names)), len(set(keys))), (len(names), len(keys)))

    def test_shared_names(self) -> None:
        """
        Where two tables have the same key, both options say of which table they are.
        """
        prefixed = sorted(one.option for one in settings() if one.option.startswith(("--gateway-", "--connections-")))
        names = ("idle-timeout", "max-head-bytes", "max-headers", "response-timeout")
        expected = sorted(f"--{table}-{name}" for table in ("gateway", "connections") for name in names)
        self.assertEqual(prefixed, expected)

    def test_the_options_of_the_command_line(self) -> None:
        """
        What C{matrix-federation resolve} has too is named as there.
        """
        printed = io.StringIO()
        with redirect_stdout(printed):
            self.assertRaises(SystemExit, parser.parse, ["resolve", "--help"])
        theirs = set(re.findall(r"^  (--[a-z-]+)", printed.getvalue(), re.MULTILINE))
        own = {"--timeout", "--json", "--no-color", "--explain"}
        switches = {one.option.replace("--", "--no-", 1) for one in settings() if one.kind.is_switch}
        self.assertIn("--ca-file", theirs)
        self.assertEqual(theirs - own - switches - {one.option for one in settings()}, set())

    def test_option_of(self) -> None:
        """
        The name of an option comes from its key.
        """
        for table, key, shared, expected in [
            ("gateway", "retry_after", False, "--retry-after"),
            ("gateway", "idle_timeout", True, "--gateway-idle-timeout"),
            ("addresses", "deny", False, "--deny-network"),
            ("gateway", "withheld_headers", False, "--withheld-header"),
        ]:
            self.assertEqual(option_of(table, key, shared=shared), expected)

    def test_summaries(self) -> None:
        """
        Lines are joined, and markup is taken away.
        """

        class Owner:
            """
            Text.

            @ivar one: first C{code},
                second L{thing}.
            @ivar two: last.
            @raise Error: never.
            """

        self.assertEqual(summaries(Owner), {"one": "first code, second thing", "two": "last"})

    def test_without_docstrings(self) -> None:
        """
        C{python -OO} has none; there are settings all the same.
        """

        class Owner:
            pass

        self.assertEqual(summaries(Owner), {})

    def test_metavars(self) -> None:
        """
        The help tells what kind of value is wanted.
        """
        for key, expected in [
            ("ca_files", "FILE"),
            ("sqlite", "FILE"),
            ("exempt_networks", "CIDR"),
            ("allow", "CIDR"),
            ("jitter", "PART"),
            ("tcp_timeout", "SECONDS"),
            ("max_targets", "N"),
            ("minimum_tls", "1.2|1.3"),
            ("rules", "[PATTERN=]URL|direct"),
        ]:
            self.assertEqual(setting(key).kind.metavar, expected, key)

    def test_tables(self) -> None:
        """
        The tables are those that the documentation names.
        """
        expected = ["gateway", "trust", "addresses", "discovery", "connections", "proxies", "store"]
        self.assertEqual(list(TABLES), expected)


class KindTests(TestCase):
    """
    L{kinds.Kind}.
    """

    def test_of_text(self) -> None:
        """
        Numbers are read, and pairs are split.
        """
        read: list[Any] = [kinds.NUMBER.of_text("1.5"), kinds.WHOLE_NUMBER.of_text("12")]
        read += [kinds.PAIRS.of_text("*.onion=socks5h://h:1"), kinds.PAIRS.of_text("http://h:1/?a=b")]
        self.assertEqual(read, [1.5, 12, ("*.onion", "socks5h://h:1"), ("*", "http://h:1/?a=b")])

    def test_not_of_text(self) -> None:
        """
        What is no number is refused, the infinite too.
        """
        for kind, text in [
            (kinds.NUMBER, "ten"),
            (kinds.NUMBER, "inf"),
            (kinds.NUMBER, "nan"),
            (kinds.WHOLE_NUMBER, "1_0"),
            (kinds.WHOLE_NUMBER, "-1"),
            (kinds.WHOLE_NUMBER, "1.0"),
            (kinds.WHOLE_NUMBER, "9" * 5000),
        ]:
            self.assertRaises(ArgumentTypeError, kind.of_text, text)

    def test_of_toml(self) -> None:
        """
        Values of the right type are taken as they are; a whole number is a number.
        """
        for kind, value in [
            (kinds.SWITCH, False),
            (kinds.WHOLE_NUMBER, 3),
            (kinds.NUMBER, 3),
            (kinds.NUMBER, 0.5),
            (kinds.TEXT, "x"),
            (kinds.TEXTS, ["x", "y"]),
            (kinds.PAIRS, [["*", "direct"]]),
        ]:
            self.assertEqual(kind.of_toml(value), value)

    def test_not_of_toml(self) -> None:
        """
        Values of other types are refused, and not shown: they may hold a password.
        """
        for kind, value in [
            (kinds.SWITCH, 1),
            (kinds.SWITCH, "secret"),
            (kinds.WHOLE_NUMBER, True),
            (kinds.WHOLE_NUMBER, 1.0),
            (kinds.NUMBER, True),
            (kinds.NUMBER, "secret"),
            (kinds.NUMBER, float("inf")),
            (kinds.TEXT, ["secret"]),
            (kinds.TEXTS, "secret"),
            (kinds.TEXTS, ["secret", 1]),
            (kinds.PAIRS, "secret"),
            (kinds.PAIRS, ["*=http://u:secret@h"]),
            (kinds.PAIRS, [["*", "secret", "secret"]]),
        ]:
            error = self.assertRaises(kinds.WrongType, kind.of_toml, value)
            self.assertNotIn("secret", str(error))
