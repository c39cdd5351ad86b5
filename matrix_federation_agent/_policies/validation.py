"""
What settings may be: validators, converters and fields that the policies share.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import attrs

from ..errors import ConfigurationError


def listed(setting: str, value: object) -> tuple[Any, ...]:
    """
    Make a tuple of a setting with several values; L{None} is none of them.
    """
    if value is None:
        return ()
    # A network is iterable: it would become the list of its addresses.
    if isinstance(value, (str, bytes, IPv4Network, IPv6Network)) or not isinstance(value, Iterable):
        raise ConfigurationError.of(setting, f"expected a list, not {value!r}")
    return tuple(value)


def path(setting: str, value: object) -> str:
    """
    Read the path of a file.
    """
    try:
        return os.fsdecode(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigurationError.of(setting, str(error)) from error


def paths(setting: str, value: object) -> tuple[str, ...]:
    """
    Read a list of paths.
    """
    return tuple(path(setting, item) for item in listed(setting, value))


def positive(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """
    Validate that a number is more than nothing.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ConfigurationError.of(attribute.name, f"expected a number above zero, not {value!r}")


def yes_or_no(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """
    Validate a switch: any text, "no" among them, would count as yes.
    """
    if not isinstance(value, bool):
        raise ConfigurationError.of(attribute.name, f"expected True or False, not {value!r}")


def at_least_one(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """
    Validate that a count is of something.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError.of(attribute.name, f"expected a whole number above zero, not {value!r}")


def fraction(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """
    Validate that a number is a part of one.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ConfigurationError.of(attribute.name, f"expected a number from 0 to 1, not {value!r}")


def not_negative(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """
    Validate that a count is a count.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError.of(attribute.name, f"expected a whole number, not {value!r}")


def one_of(*choices: str) -> Callable[[object, attrs.Attribute[Any], object], None]:
    """
    Make the validator of a setting with few values, compared as text.
    """

    def validate(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in choices:
            raise ConfigurationError.of(attribute.name, f"expected one of {', '.join(choices)}, not {value!r}")

    return validate


def seconds(default: float) -> float:
    """
    Declare a setting of some seconds.
    """
    return attrs.field(default=default, validator=positive)


def positive_count(default: int) -> int:
    """
    Declare a setting that counts, and of which there must be one.
    """
    return attrs.field(default=default, validator=at_least_one)


def count(default: int) -> int:
    """
    Declare a setting that counts.
    """
    return attrs.field(default=default, validator=not_negative)


def optional_path(setting: str) -> Any:
    """
    Declare a setting that is the path of a file, or L{None}.
    """
    return attrs.field(default=None, converter=lambda value: None if value is None else path(setting, value))


def optional_seconds() -> Any:
    """
    Declare a setting of some seconds, or L{None}.
    """
    return attrs.field(default=None, validator=attrs.validators.optional(positive))
