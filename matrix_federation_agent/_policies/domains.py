"""
Patterns of domain names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

_GLOB = re.compile(r"[a-z0-9.*?-]+")
_NUMBER_AT_END = re.compile(r"(?:.*\.)?[0-9]+")


def read_glob(setting: str, value: object) -> str:
    """
    Read one pattern: C{*} is any text, dots included, C{?} one character.
    """
    if not isinstance(value, str):
        raise ConfigurationError.of(setting, f"expected text, not {value!r}")
    if not value.isascii():
        raise ConfigurationError.of(setting, f"{value!r} must be written as {_a_labels(value)!r}")
    glob = value.lower()
    if not _GLOB.fullmatch(glob):
        raise ConfigurationError.of(setting, f"{value!r} is no pattern of domain names")
    if _NUMBER_AT_END.fullmatch(glob):
        raise ConfigurationError.of(setting, f"{value!r} is an address: name it as a network")
    return glob


def _a_labels(text: str) -> str:
    """
    Write the A-labels of a name (RFC 5890), label by label, because a
    wildcard is none.
    """
    try:
        return ".".join(label if label.isascii() else label.encode("idna").decode() for label in text.split("."))
    except UnicodeError:
        return "an A-label (xn--...)"


@attrs.frozen
class DomainGlobs:
    """
    Patterns, compiled once.
    """

    _patterns: tuple[tuple[str, re.Pattern[str]], ...]

    @classmethod
    def compiled(cls, globs: Iterable[str]) -> DomainGlobs:
        """
        Compile what L{read_glob} has read.
        """
        return cls(
            tuple((glob, re.compile(re.escape(glob).replace(r"\*", ".*").replace(r"\?", "."))) for glob in globs)
        )

    def matching(self, name: str) -> str | None:
        """
        Find the first pattern that covers a name.

        @param name: in lower case.
        """
        return next((glob for glob, pattern in self._patterns if pattern.fullmatch(name)), None)
