"""
Kinds of settings: how one is read from the text of an option, and from what a
file in TOML holds.
"""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Literal, get_args, get_origin

import attrs

from .._options import proxy_rule, whole_number
from .._policies.proxies import ProxyRule

if TYPE_CHECKING:
    from collections.abc import Callable

_TOML = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list", dict: "a table"}


class WrongType(ValueError):
    """
    A file holds a value of another type than a setting has.
    """


@attrs.frozen
class Kind:
    """
    A kind of settings.

    @ivar metavar: stands for the value in the help.
    @ivar of_text: reads the text of an option, and raises
        C{ArgumentTypeError}.
    @ivar of_toml: checks what a file holds, and raises L{WrongType}.
    @ivar is_list: whether the option may be repeated.
    @ivar is_switch: whether the option has no value.
    """

    metavar: str
    of_text: Callable[[str], object]
    of_toml: Callable[[object], object]
    is_list: bool = False
    is_switch: bool = False


def number(text: str) -> float:
    """
    Read a finite number.
    """
    try:
        found = float(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no number") from error
    if not math.isfinite(found):
        raise ArgumentTypeError(f"expected a finite number, not {text!r}")
    return found


def _one(expected: type) -> Callable[[object], object]:
    def check(value: object) -> object:
        # To Python, True is an int.
        if type(value) is not expected:
            raise WrongType(f"expected {_TOML[expected]}, not {_described(value)}")
        return value

    return check


def _described(value: object) -> str:
    """
    Tell the type of a value; what it holds may be a password.
    """
    return _TOML.get(type(value), "a date or a time")


def _number(value: object) -> object:
    if type(value) not in (int, float):
        raise WrongType(f"expected a number, not {_described(value)}")
    if not math.isfinite(value):  # type: ignore[arg-type]
        raise WrongType("expected a finite number")
    return value


def _texts(value: object) -> object:
    if not isinstance(value, list):
        raise WrongType(f"expected a list of texts, not {_described(value)}")
    for item in value:
        if not isinstance(item, str):
            raise WrongType(f"expected a list of texts; one of them is {_described(item)}")
    return value


def _pairs(value: object) -> object:
    pairs = value if isinstance(value, list) else [value]
    if not all(isinstance(pair, list) and [type(part) for part in pair] == [str, str] for pair in pairs):
        raise WrongType('expected a list of pairs, such as [["*.onion", "socks5h://127.0.0.1:9050"]]')
    return value


SWITCH = Kind("", str, _one(bool), is_switch=True)
WHOLE_NUMBER = Kind("N", whole_number, _one(int))
NUMBER = Kind("SECONDS", number, _number)
TEXT = Kind("TEXT", str, _one(str))
TEXTS = Kind("TEXT", str, _texts, is_list=True)
PAIRS = Kind("[PATTERN=]URL|direct", proxy_rule, _pairs, is_list=True)

_SINGLE = {bool: SWITCH, int: WHOLE_NUMBER, float: NUMBER, str: TEXT}


def kind_of(annotation: object) -> Kind:
    """
    Find the kind of a field by its type.
    """
    arguments = get_args(annotation)
    if get_origin(annotation) is tuple:
        return PAIRS if arguments[0] is ProxyRule else TEXTS
    if get_origin(annotation) is Literal:
        return TEXT
    # Of "float | None", the part that can be written down.
    return _SINGLE[next((part for part in arguments if part in _SINGLE), annotation)]  # type: ignore[index]
