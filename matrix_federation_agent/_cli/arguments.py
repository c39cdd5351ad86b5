"""
What single arguments of the command line mean.

Each of these functions is the C{type} of an argument: it returns a valid
value, or raises C{ArgumentTypeError}, which C{argparse} reports.
"""

from __future__ import annotations

import math
import re
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

from .. import _options
from .._server_name import ServerName
from ..errors import ConfigurationError, InvalidServerName

if TYPE_CHECKING:
    from .._discovery.resolv_conf import NameServer

LONGEST = 24 * 3600.0
"""
Seconds in the longest C{--timeout}; select(2) and its like refuse numbers
that are much larger.
"""

# RFC 9110, section 5.6.2: token = 1*tchar
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110, section 5.5: field values hold no control characters but HTAB.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = {
    "host": "it is settled by the server name",
    "content-length": "it is settled by --data",
    "transfer-encoding": "it is settled by --data",
}


def server_name(text: str) -> ServerName:
    """
    Read a Matrix server name.
    """
    try:
        return ServerName.parse(text)
    except InvalidServerName as error:
        raise ArgumentTypeError(str(error)) from error


def name_server(text: str) -> NameServer:
    """
    Read the address and port of a name server; without a port it is 53.
    """
    try:
        return _options.name_server("dns", text)
    except ConfigurationError as error:
        raise ArgumentTypeError(_options.bare_reason(error)) from error


def seconds(text: str) -> float:
    """
    Read a length of time.
    """
    try:
        number = float(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no number of seconds") from error
    if not (math.isfinite(number) and 0 < number <= LONGEST):
        raise ArgumentTypeError(f"expected more than 0 and at most {LONGEST:g} seconds, not {text!r}")
    return number


def method(text: str) -> bytes:
    """
    Read an HTTP method.
    """
    if not _TOKEN.fullmatch(text):
        raise ArgumentTypeError(f"{text!r} is no HTTP method")
    return text.encode("ascii")


def header(text: str) -> tuple[bytes, bytes]:
    """
    Read a header, C{Name: value}.
    """
    name, colon, value = text.partition(":")
    if not colon or not _TOKEN.fullmatch(name):
        raise ArgumentTypeError(f"expected 'Name: value', not {text!r}")
    if _CONTROL.search(value):
        raise ArgumentTypeError(f"the value of {name} holds a control character")
    if name.lower() in _OURS:
        raise ArgumentTypeError(f"{name} cannot be set: {_OURS[name.lower()]}")
    return name.encode("ascii"), _bytes(value.strip(" \t"))


def data(text: str) -> bytes:
    """
    Read a body: the text itself, or after C{@} the content of a file;
    C{@-} is standard input.
    """
    if not text.startswith("@"):
        return _bytes(text)
    try:
        if text == "@-":
            return b"" if sys.stdin is None else sys.stdin.buffer.read()
        return Path(text[1:]).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ArgumentTypeError(f"cannot read {text[1:]!r}: {reason}") from error


def _bytes(text: str) -> bytes:
    # Bytes of the command line that are no UTF-8 stand as surrogates in its
    # text (PEP 383).
    return text.encode("utf-8", "surrogateescape")
