"""
Tests of C{matrix_federation_agent._server_name}: the grammar, row by row.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import attrs

from matrix_federation_agent import ServerName
from matrix_federation_agent.errors import InvalidServerName

from .case import TestCase

A63 = "a" * 63
LONGEST = ".".join([A63] * 4)

# The row of CONFORMANCE 1, a name, and its host, port and IP literal.
ACCEPTED = [
    ("N1", "matrix.org", "matrix.org", None, None),
    ("N1", "1234.example.com", "1234.example.com", None, None),
    ("N1", "xn--bcher-kva.com", "xn--bcher-kva.com", None, None),
    ("N1", "localhost", "localhost", None, None),
    ("N2", "matrix.org:8888", "matrix.org", 8888, None),
    ("N2", "matrix.org:1", "matrix.org", 1, None),
    ("N2", "matrix.org:65535", "matrix.org", 65535, None),
    ("N3", "1.2.3.4", "1.2.3.4", None, IPv4Address("1.2.3.4")),
    ("N3", "1.2.3.4:1234", "1.2.3.4", 1234, IPv4Address("1.2.3.4")),
    ("N4", "[1234:5678::abcd]", "1234:5678::abcd", None, IPv6Address("1234:5678::abcd")),
    ("N4", "[1234:5678::abcd]:5678", "1234:5678::abcd", 5678, IPv6Address("1234:5678::abcd")),
    ("N4", "[::]", "::", None, IPv6Address("::")),
    ("N4", "[2001:DB8::1]", "2001:DB8::1", None, IPv6Address("2001:db8::1")),
    ("N7", "[::ffff:1.2.3.4]", "::ffff:1.2.3.4", None, IPv6Address("::ffff:102:304")),
    ("N11", "-a.com", "-a.com", None, None),
    ("N11", "a-.com", "a-.com", None, None),
    ("N11", "ab--cd.com", "ab--cd.com", None, None),
    ("N11", "r3---sn.example", "r3---sn.example", None, None),
    ("N12", "EXAMPLE.com", "EXAMPLE.com", None, None),
    ("N15", "example.com:00443", "example.com", 443, None),
    ("N16", LONGEST, LONGEST, None, None),
    ("N16", f"{A63}.example", f"{A63}.example", None, None),
    ("N18", "1.2.3.4.a", "1.2.3.4.a", None, None),
    ("N18", "example.0xg", "example.0xg", None, None),
]

# The row, a text that is no server name, and the index of the first
# offending character.
REFUSED = [
    ("N5", "", 0),
    ("N5", ":80", 0),
    ("N6", "2001:0db8::ff00:0042", 9),
    ("N6", "::1", 1),
    ("N6", "[2001:db8:0:0:0:ff00:42]", 1),
    ("N6", "[]", 1),
    ("N6", "[1.2.3.4]", 1),
    ("N6", "[::1", 4),
    ("N6", "[::1]a", 5),
    ("N6", "[::1]:", 6),
    ("N6", "[::1]::80", 6),
    ("N6", "[[::1]]", 1),
    ("N6", "a:80:90", 4),
    ("N9", "exa mple:http", 3),
    ("N8", "[::1%eth0]", 4),
    ("N9", "under_score.com", 5),
    ("N9", "percent%65.com", 7),
    ("N9", "exa mple", 3),
    ("N9", "é.com", 0),
    ("N9", "a/b", 1),
    ("N9", "u@h", 1),
    ("N9", "example.com\n", 11),
    ("N9", "example.com\0", 11),
    ("N9", "１.2.3.4", 0),  # noqa: RUF001 (a digit of full width)
    ("N9", "a\ud800", 1),
    ("N10", ".empty-label.com", 0),
    ("N10", "a..b", 2),
    ("N10", ".", 0),
    ("N13", "example.com:", 12),
    ("N13", "localhost:http", 10),
    ("N13", "example.com:-1", 12),
    ("N13", "example.com: 80", 12),
    ("N13", "example.com:+80", 12),
    ("N13", "example.com:80\n", 12),
    ("N13", "example.com:8_0", 12),
    ("N13", "example.com:٨٠", 12),
    ("N13", "example.com:000080", 12),
    ("N14", "example.com:99999", 12),
    ("N14", "example.com:65536", 12),
    ("N14", "example.com:0", 12),
    ("N14", "[::1]:00000", 6),
    ("N16", LONGEST + "a", 255),
    ("N16", f"{A63}a.com", 0),
    ("N16", f"example.{A63}a", 8),
    ("N17", "example.com.", 12),
    ("N17", "1.2.3.4.", 8),
    ("N18", "127.1", 4),
    ("N18", "0x7f.1", 5),
    ("N18", "2130706433", 0),
    ("N18", "999.1.1.1", 8),
    ("N18", "0x7f000001", 0),
    ("N18", "1.2.3.0X4", 6),
    ("N18", "1.2.3.0x", 6),
    ("N18", "01.2.3.4", 7),
    ("N18", "1.2.3.4.5", 8),
    ("N18", "example.1", 8),
]


def refusal(text: bytes | str) -> InvalidServerName | None:
    """Find the error with which a text is refused."""
    try:
        ServerName.parse(text)
    except InvalidServerName as error:
        return error
    return None


def refused_at(text: bytes | str) -> int | None:
    """Find the position at which a text is refused."""
    error = refusal(text)
    return None if error is None else error.position


class GrammarTests(TestCase):
    """CONFORMANCE 1."""

    def test_n1_to_n18_valid_names_are_taken_apart(self) -> None:
        """A name in the grammar has a host, perhaps a port, and perhaps an address."""
        for row, text, *expected in ACCEPTED:
            name = ServerName.parse(text)
            self.assertEqual([name.host, name.port, name.literal], expected, f"{row} {text!r}")

    def test_n1_to_n18_invalid_names_are_refused_where_they_are_wrong(self) -> None:
        """A text outside the grammar is refused, and the error has the position."""
        for row, text, position in REFUSED:
            self.assertEqual(refused_at(text), position, f"{row} {text!r}")

    def test_n1_to_n18_every_row_has_an_example(self) -> None:
        """No row of CONFORMANCE 1 is missing from the tables."""
        rows = {row for row, *_ in ACCEPTED} | {row for row, *_ in REFUSED}
        self.assertEqual(rows, {f"N{number}" for number in range(1, 19)})

    def test_n1_to_n18_bytes_and_text_are_read_alike(self) -> None:
        """A name in bytes is the name in text."""
        for row, text, *_ in ACCEPTED:
            self.assertEqual(ServerName.parse(text.encode("ascii")), ServerName.parse(text), f"{row} {text!r}")

    def test_n9_bytes_that_are_not_ascii_are_refused_where_they_stand(self) -> None:
        """Positions in bytes count bytes, whatever their encoding."""
        found = [refused_at(text) for text in (b"\xc3\xa9.com", b"a\xff", b"caf\xe9.com", b"example.com:\xb2")]
        self.assertEqual(found, [0, 1, 3, 12])

    def test_n16_an_endless_text_is_not_repeated(self) -> None:
        """The error keeps no more of the text than a name can have."""
        error = refusal("a" * 100_000)
        self.assertEqual(error and len(error.server_name), 255)

    def test_the_error_keeps_the_text(self) -> None:
        """Whoever catches the error sees what was refused, in which phase, and as a C{ValueError}."""
        error = refusal("exa mple")
        assert error is not None
        self.assertEqual((error.server_name, error.phase, isinstance(error, ValueError)), ("exa mple", "uri", True))


class ValueTests(TestCase):
    """L{ServerName} as a value."""

    def test_n12_n15_names_are_equal_when_their_texts_are(self) -> None:
        """Case, leading zeros and an explicit default port tell Matrix servers apart."""
        texts = ["a.example", "A.example", "a.example:80", "a.example:080", "a.example:8448", "[::1]", "[0::1]"]
        self.assertEqual(len({ServerName.parse(text) for text in texts}), len(texts))

    def test_equal_names_are_one_key(self) -> None:
        """Two readings of one text are one entry of a map."""
        known = {ServerName.parse("a.example:80"): "first"}
        known[ServerName.parse(b"a.example:80")] = "second"
        self.assertEqual(list(known.values()), ["second"])

    def test_a_name_is_no_text(self) -> None:
        """A name never equals the text that it came from."""
        self.assertNotEqual(ServerName.parse("a.example"), "a.example")

    def test_n15_the_text_is_kept_as_given(self) -> None:
        """C{str}, the C{Host} header and the text repeat the name, byte for byte."""
        name = ServerName.parse("EXAMPLE.com:00443")
        expected = ("EXAMPLE.com:00443", b"EXAMPLE.com:00443", "EXAMPLE.com:00443")
        self.assertEqual((str(name), name.host_header, name.text), expected)

    def test_n12_certificates_name_the_host_in_lower_case(self) -> None:
        """The TLS name is the host without port and brackets, in lower case."""
        names = ["EXAMPLE.com:00443", "[2001:DB8::A]:1", "1.2.3.4:5"]
        found = [ServerName.parse(name).tls_name for name in names]
        self.assertEqual(found, ["example.com", "2001:db8::a", "1.2.3.4"])

    def test_the_port_can_be_left_out(self) -> None:
        """What remains without the port is a server name in the same spelling."""
        names = ["EXAMPLE.com:00443", "EXAMPLE.com", "[2001:DB8::A]:1", "[::1]", "1.2.3.4:5", "1.2.3.4"]
        found = [str(ServerName.parse(name).without_port) for name in names]
        self.assertEqual(found, ["EXAMPLE.com", "EXAMPLE.com", "[2001:DB8::A]", "[::1]", "1.2.3.4", "1.2.3.4"])

    def test_the_repr_says_what_would_make_it_again(self) -> None:
        """The C{repr} is short, and evaluates to the name."""
        self.assertEqual(repr(ServerName.parse("a.example:80")), "ServerName('a.example:80')")


class OnlyDoorTests(TestCase):
    """There is no way round the grammar."""

    def test_the_constructor_checks(self) -> None:
        """A name that is made without C{parse} is checked all the same."""
        self.assertRaises(InvalidServerName, ServerName, "a/b")

    def test_the_parts_cannot_be_handed_in(self) -> None:
        """Nobody can say that a text has another host than it has."""
        parts = ServerName("a.example")._parts
        self.assertRaises(TypeError, ServerName, "b.example", parts=parts)

    def test_a_changed_copy_is_checked(self) -> None:
        """C{attrs.evolve} does not bring an invalid name about."""
        self.assertRaises(InvalidServerName, attrs.evolve, ServerName("a.example"), text="a/b")

    def test_a_changed_copy_is_read_again(self) -> None:
        """The host of a copy with another text is that of the other text."""
        self.assertEqual(attrs.evolve(ServerName("a.example:80"), text="b.example").host, "b.example")

    def test_names_are_frozen(self) -> None:
        """The text of a name cannot be replaced."""
        self.assertRaises(attrs.exceptions.FrozenInstanceError, setattr, ServerName("a.example"), "text", "a/b")

    def test_names_are_slotted(self) -> None:
        """Nothing can be hung on a name."""
        self.assertFalse(hasattr(ServerName("a.example"), "__dict__"))
