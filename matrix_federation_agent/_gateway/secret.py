"""
The secret that clients of the gateway share with it.
"""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAXIMUM_LENGTH = 1024
"""
Characters in a secret.
"""

Objection = Literal["Missing", "Invalid", "Too many"]
"""
Why a request is not authorised.
"""

_VISIBLE = frozenset(range(0x21, 0x7F))


@attrs.frozen(eq=False)
class Secret:
    """
    The secret that clients of the gateway share with it; neither C{repr} nor
    an error tells it.
    """

    _expected: bytes = attrs.field(repr=False)

    @classmethod
    def of(cls, secret: bytes) -> Secret:
        """
        Take a secret: 1 to 1024 visible characters of ASCII, no space among
        them.

        @raise ConfigurationError: when it is none.
        """
        return cls._checked(secret, "secret", "it")

    @classmethod
    def load(cls, path: str) -> Secret:
        """
        Read the secret from a file; one end of line after it does not count.

        @raise ConfigurationError: when the file cannot be read or holds no
            secret; names the file, and never says what is in it.
        """
        try:
            with Path(path).open("rb") as file:
                # Enough to tell that there is too much.
                content = file.read(MAXIMUM_LENGTH + 3)
        except (OSError, ValueError) as error:
            raise ConfigurationError.of("secret_file", f"{path!r} cannot be read: {error}") from error
        return cls._checked(content.removesuffix(b"\n").removesuffix(b"\r"), "secret_file", f"what {path!r} holds")

    @classmethod
    def _checked(cls, secret: bytes, setting: str, subject: str) -> Secret:
        if not secret:
            raise ConfigurationError.of(setting, f"{subject} is empty")
        if len(secret) > MAXIMUM_LENGTH:
            raise ConfigurationError.of(setting, f"{subject} is longer than {MAXIMUM_LENGTH} characters")
        if not _VISIBLE.issuperset(secret):
            raise ConfigurationError.of(setting, f"{subject} has a character that is not visible ASCII")
        return cls(b"Bearer " + secret)

    def check(self, values: Sequence[bytes] | None) -> Objection | None:
        """
        Compare the values of a header with C{Bearer SECRET}, in a time that
        does not depend on where they differ.

        @param values: of one header, a line each.
        @return: why they do not authorise the request, or L{None}.
        """
        if not values:
            return "Missing"
        if len(values) > 1:
            return "Too many"
        return None if hmac.compare_digest(values[0], self._expected) else "Invalid"
