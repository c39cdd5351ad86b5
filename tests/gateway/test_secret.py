"""
Tests of C{matrix_federation_agent._gateway.secret}.
"""

from __future__ import annotations

import hmac
from pathlib import Path

from matrix_federation_agent._gateway.secret import Secret
from matrix_federation_agent.errors import ConfigurationError
from tests.case import TestCase

# The values of the header, and what is wrong with them.
VALUES = [
    (None, "Missing"),
    ([], "Missing"),
    ([b"Bearer s3cret"], None),
    ([b"bearer s3cret"], "Invalid"),
    ([b"Basic s3cret"], "Invalid"),
    ([b"Bearer  s3cret"], "Invalid"),
    ([b"Bearer s3cret "], "Invalid"),
    ([b"Bearer s3cre"], "Invalid"),
    ([b"Bearer S3cret"], "Invalid"),
    ([b"s3cret"], "Invalid"),
    ([b"Bearer "], "Invalid"),
    ([b""], "Invalid"),
    ([b"Bearer s3cr\xe9t"], "Invalid"),
    ([b"Bearer s3cret", b"Bearer s3cret"], "Too many"),
    ([b"Bearer s3cret, Bearer s3cret"], "Invalid"),
]

# What a file holds, and whether it is taken.
FILES = [
    (b"s3cret", True),
    (b"s3cret\n", True),
    (b"s3cret\r\n", True),
    (b"x" * 1024 + b"\r\n", True),
    (b"!~", True),
    (b"", False),
    (b"\n", False),
    (b"s3cret\n\n", False),
    (b" s3cret", False),
    (b"s3 cret", False),
    (b"s3cret\t", False),
    (b"s3cr\xc3\xa9t", False),
    (b"s3cret\x7f", False),
    (b"x" * 1025, False),
    (b"x" * 1025 + b"\n", False),
]


class CheckTests(TestCase):
    """
    L{Secret.check}.
    """

    def test_G3_values(self) -> None:
        """
        One line, compared as a whole; whatever else it holds is an answer and no exception.
        """
        secret = Secret.of(b"s3cret")
        self.assertEqual([(values, secret.check(values)) for values, _ in VALUES], VALUES)

    def test_the_whole_value_is_compared_in_constant_time(self) -> None:
        """
        C{hmac.compare_digest} sees all of it.
        """
        seen: list[tuple[bytes, bytes]] = []
        compare = hmac.compare_digest

        def watched(one: bytes, other: bytes) -> bool:
            seen.append((one, other))
            return compare(one, other)

        self.patch(hmac, "compare_digest", watched)
        Secret.of(b"s3cret").check([b"Bearer wrong"])
        self.assertEqual(seen, [(b"Bearer wrong", b"Bearer s3cret")])


class SourceTests(TestCase):
    """
    Where secrets come from.
    """

    def test_files(self) -> None:
        """
        A secret is visible ASCII, and an end of line after it does not count.
        """
        path = Path(self.mktemp())
        for content, expected in FILES:
            path.write_bytes(content)
            try:
                taken = Secret.load(str(path)).check([b"Bearer " + content.rstrip(b"\r\n")]) is None
            except ConfigurationError:
                taken = False
            self.assertEqual(taken, expected, content)

    def test_an_error_names_the_file_and_not_what_it_holds(self) -> None:
        """
        Logs are read by many.
        """
        path = Path(self.mktemp())
        for content in (b"open sesame", b"sesame" * 500):
            path.write_bytes(content)
            error = self.assertRaises(ConfigurationError, Secret.load, str(path))
            shown = f"{error!r} {error} {error.__cause__!r}"
            self.assertEqual(
                (error.setting, str(path) in shown, "sesame" in shown), ("secret_file", True, False), content
            )

    def test_a_file_that_is_not_there(self) -> None:
        """
        It is named.
        """
        path = self.mktemp()
        error = self.assertRaises(ConfigurationError, Secret.load, path)
        self.assertEqual((error.setting, path in str(error)), ("secret_file", True))

    def test_a_path_that_cannot_be(self) -> None:
        """
        A NUL is an error like any other.
        """
        error = self.assertRaises(ConfigurationError, Secret.load, "a\0b")
        self.assertEqual(error.setting, "secret_file")

    def test_an_endless_file_is_not_read_to_its_end(self) -> None:
        """
        C{/dev/zero} is refused at once.
        """
        error = self.assertRaises(ConfigurationError, Secret.load, "/dev/zero")
        self.assertEqual(error.setting, "secret_file")

    def test_without_a_secret_there_is_no_gateway(self) -> None:
        """
        An empty secret would let everybody in.
        """
        error = self.assertRaises(ConfigurationError, Secret.of, b"")
        self.assertEqual(error.setting, "secret")

    def test_it_is_not_shown(self) -> None:
        """
        Neither where it is printed nor where it is logged.
        """
        secret = Secret.of(b"sesame")
        self.assertNotIn("sesame", f"{secret!r} {secret}")
