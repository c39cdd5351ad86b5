"""
The secret that clients of the gateway share with it.
"""

from __future__ import annotations

import attrs


@attrs.frozen(eq=False)
class Secret:
    """
    The secret that clients of the gateway share with it.
    """

    _expected: bytes = attrs.field(repr=False)

    @classmethod
    def of(cls, secret: bytes) -> Secret:
        """
        Take a secret: 1 to 1024 visible characters of ASCII.

        @raise ConfigurationError: when it is none.
        """
        raise NotImplementedError

    @classmethod
    def load(cls, path: str) -> Secret:
        """
        Read the secret from a file; one end of line after it does not count.

        @raise ConfigurationError: when the file cannot be read or holds no
            secret; names the file, and never says what is in it.
        """
        raise NotImplementedError
