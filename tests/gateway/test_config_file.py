"""
Tests of L{matrix_federation_agent._gateway.config_file} and of what is made of a file.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from matrix_federation_agent import ProxyPolicy, TrustPolicy
from matrix_federation_agent._gateway.config_file import MAX_BYTES, ConfigFile, line_of
from matrix_federation_agent._gateway.configuration import Configuration
from matrix_federation_agent._gateway.settings import settings
from matrix_federation_agent._policies import SPECIAL_PURPOSE
from matrix_federation_agent.errors import ConfigurationError
from tests.case import TestCase

ENTRANCE = """\
[gateway]
listen = ["tcp:8009"]
secret_file = "secret"
"""


class ConfigFileCase(TestCase):
    """
    A test with a file.
    """

    def setUp(self) -> None:
        """
        Find a place for the file.
        """
        super().setUp()
        self.path = Path(self.mktemp())

    def read(self, text: str, environ: dict[str, str] | None = None) -> Configuration:
        """
        Write and read a file.
        """
        self.path.write_text(dedent(text), "utf-8")
        return Configuration.of(ConfigFile.read(str(self.path)).given(settings()), environ or {})

    def refused(self, text: str) -> str:
        """
        Tell what is said of a bad file, without its path.
        """
        error: ConfigurationError = self.assertRaises(ConfigurationError, self.read, text)
        self.assertTrue(error.reason.startswith(f"{self.path}, "), error.reason)
        return error.reason.removeprefix(f"{self.path}, ")


class GoodFileTests(ConfigFileCase):
    """
    Files that can be used.
    """

    def test_tables(self) -> None:
        """
        Each table is the policy of its name.
        """
        found = self.read(
            ENTRANCE
            + """\
max_requests = 7
[trust]
minimum_tls = "1.3"
exempt_networks = ["fc00::/8"]
[discovery]
dns = ["127.0.0.1", "[::1]:5353"]
jitter = 0
[connections]
max_targets = 3
[store]
redis_database = 2
"""
        )
        self.assertEqual(found.entrance.listen, ("tcp:8009",))
        self.assertEqual(found.trust, TrustPolicy(minimum_tls="1.3", exempt_networks=["fc00::/8"]))
        self.assertEqual(found.name_servers.servers, (("127.0.0.1", 53), ("::1", 5353)))
        numbers = (found.gateway.max_requests, found.discovery.jitter, found.connections.max_targets)
        self.assertEqual((*numbers, found.store.redis_database), (7, 0, 3, 2))

    def test_paths(self) -> None:
        """
        Relative paths start from the folder of the file.
        """
        text = ENTRANCE + '[trust]\nca_files = ["roots", "/etc/ca.pem"]\n[store]\nsqlite = "d/x"\n'
        found, folder = self.read(text), self.path.parent
        paths = (found.entrance.secret_file, *found.trust.ca_files, found.store.sqlite)
        self.assertEqual(paths, (str(folder / "secret"), str(folder / "roots"), "/etc/ca.pem", str(folder / "d" / "x")))

    def test_path_of_the_password(self) -> None:
        """
        So does that of the password of Redis.
        """
        found = self.read(ENTRANCE + '[store]\nredis = "tcp:x:1"\nredis_password_file = "p"\n')
        self.assertEqual(found.store.redis_password_file, str(self.path.parent / "p"))

    def test_empty_path(self) -> None:
        """
        A path that is empty is not taken for the folder.
        """
        self.assertEqual(self.read('[gateway]\nlisten = ["tcp:1"]\nsecret_file = ""\n').entrance.secret_file, "")

    def test_denied_networks_are_added(self) -> None:
        """
        C{deny} makes the usual rule stricter, and never opens it.
        """
        found = self.read(ENTRANCE + '[addresses]\nallow = ["10.0.0.0/8"]\ndeny = ["8.8.8.0/24"]\n').addresses
        self.assertEqual(found.deny[:-1], SPECIAL_PURPOSE)
        self.assertEqual((str(found.deny[-1]), str(found.allow[0])), ("8.8.8.0/24", "10.0.0.0/8"))

    def test_proxies(self) -> None:
        """
        The environment comes after the rules, when it is asked for.
        """
        text = ENTRANCE + '[proxies]\nrules = [["*.onion", "socks5h://h:1"]]\nproxy_environment = {}\n'
        environ = {"https_proxy": "http://p:2"}
        rules: list[Any] = [("*.onion", "socks5h://h:1"), ("*", "http://p:2")]
        self.assertEqual(self.read(text.format("true"), environ).proxies, ProxyPolicy(rules))
        self.assertEqual(self.read(text.format("false"), environ).proxies, ProxyPolicy(rules[:1]))


class BadFileTests(ConfigFileCase):
    """
    Files that cannot be used: the error names the file, the line and the key.
    """

    def test_unknown(self) -> None:
        """
        Unknown tables and keys are named, with what may be meant.
        """
        for text, expected in [
            ("\n[trsut]\n", "line 2: [trsut]: there is no such table; is it trust that is meant?"),
            ("# x\n\nxyz = 1\n", "line 3: [xyz]: there is no such table"),
            (
                "[trust]\n\nca_file = []\n",
                "line 3: [trust] ca_file: there is no such setting; is it ca_files that is meant?",
            ),
            ("trust.zzz = 1\n", "line 1: [trust] zzz: there is no such setting"),
            (
                "[trust]\n_domains = 1\n",
                "line 2: [trust] _domains: there is no such setting; is it exempt_domains that is meant?",
            ),
            ("trust = 1\n", "line 1: [trust]: expected a table"),
            ("[gateway]\n[gateway.listen]\n", "line 2: [gateway] listen: expected a list of texts, not a table"),
        ]:
            self.assertEqual(self.refused(text), expected)

    def test_wrong_types(self) -> None:
        """
        So are values of the wrong type.
        """
        for text, expected in [
            ('[gateway]\nlisten = "tcp:1"\n', "line 2: [gateway] listen: expected a list of texts, not text"),
            (
                "[gateway]\n\nallow_https = 1\n",
                "line 3: [gateway] allow_https: expected true or false, not a whole number",
            ),
            ("[trust]\nsession_lifetime = nan\n", "line 2: [trust] session_lifetime: expected a finite number"),
            ("[trust]\nclient_key = 1979-05-27\n", "line 2: [trust] client_key: expected text, not a date or a time"),
        ]:
            self.assertEqual(self.refused(text), expected)

    def test_refused_by_a_policy(self) -> None:
        """
        And values that a policy refuses, each by its own reason.
        """
        for text, expected in [
            (
                "[gateway]\nmax_requests = 0\n",
                "line 2: [gateway] max_requests: expected a whole number above zero, not 0",
            ),
            ("[gateway]\nlisten = []\n", "line 2: [gateway] listen: say where, by"),
            ("[connections]\nidle_timeout = 0\n", "line 2: [connections] idle_timeout: expected a number above zero"),
            ('[trust]\nminimum_tls = "1.1"\n', "line 2: [trust] minimum_tls: expected one of 1.2, 1.3"),
            ('[trust]\nclient_key = "k"\n', "line 2: [trust] client_key: there is no client_certificate"),
            ('[addresses]\ndeny = ["ten"]\n', "line 2: [addresses] deny: 'ten' does not appear"),
            ('[discovery]\ndns = ["localhost"]\n', "line 2: [discovery] dns: 'localhost' is no IP address"),
            ('[store]\nsqlite = "a"\nredis = "tcp:a"\n', "line 3: [store] redis: there is sqlite as well"),
            ('[store]\nredis_username = "a"\n', "line 2: [store] redis_username: there is no redis_password_file"),
            ('[store]\nredis = ""\n', "line 2: [store] redis: it is empty"),
        ]:
            found = self.refused(text)
            self.assertTrue(found.startswith(expected), found)

    def test_passwords_are_not_shown(self) -> None:
        """
        A proxy that is not usable is not repeated in the error.
        """
        found = self.refused(ENTRANCE + '[proxies]\nrules = [["*", "ftp://u:secret@h"]]\n')
        self.assertTrue(found.startswith("line 5: [proxies] rules: "))
        self.assertNotIn("secret", found)

    def test_no_toml(self) -> None:
        """
        What is no TOML is named by the line on which the statement begins.
        """
        for text, expected in [
            ("[trust]\nca_files = []\nca_files = []\n", "line 3: ca_files: "),
            ("[trust]\nca_files = [\n  'a',\n  b,\n]\n", "line 2: ca_files: "),
            ("[trust]\n[trust]\n", "line 2: "),
            ("\n\nnonsense\n", "line 3: "),
            ('[trust]\nminimum_tls = "1.2\n[store]\n', "line 2: minimum_tls: "),
        ]:
            found = self.refused(text)
            self.assertTrue(found.startswith(expected), found)

    def test_unreadable(self) -> None:
        """
        A file that is not there, is a folder, too long or no text is named.
        """
        folder, long, binary = (Path(self.mktemp()) for _ in range(3))
        folder.mkdir()
        long.write_bytes(b"#" * (MAX_BYTES + 1))
        binary.write_bytes(b"\n#\xff")
        for path, expected in [
            ("/does/not/exist", "/does/not/exist: it cannot be read: No such file or directory"),
            (str(folder), f"{folder}: it cannot be read: Is a directory"),
            (str(long), f"{long}: it is longer than {MAX_BYTES} bytes"),
            (str(binary), f"{binary}, line 2: it is not UTF-8"),
            ("a\0b", "a\0b: it cannot be read: embedded null byte"),
        ]:
            error = self.assertRaises(ConfigurationError, ConfigFile.read, path)
            self.assertEqual(error.reason, expected)

    def test_deeply_nested(self) -> None:
        """
        A file that is nested without end is refused like any other.
        """
        self.path.write_text("a = " + "[" * 100_000)
        self.assertRaises(ConfigurationError, ConfigFile.read, str(self.path))


class LineTests(TestCase):
    """
    L{line_of}.
    """

    def test_lines(self) -> None:
        """
        A key is where it begins, whatever is before it.
        """
        text = '# [b]\n[a]\nx = """\ny = 1\n"""\n\n# y\ny = [\n  1,\n  2,\n]\n[b]\ny = 2\r\nz = 3\n'
        for names, line in [(("a",), 2), (("a", "x"), 3), (("a", "y"), 8), (("b", "y"), 13), (("b", "z"), 14)]:
            self.assertEqual(line_of(text, names), line, names)
