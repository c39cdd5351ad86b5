"""
Proxies, and the URLs that name them.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote_to_bytes

import attrs

from .._server_name import ServerName
from ..errors import ConfigurationError, InvalidServerName

Scheme = Literal["http", "https", "socks5h"]

DEFAULT_PORTS: dict[Scheme, int] = {"http": 80, "https": 443, "socks5h": 1080}
"""
Of URLs without a port: RFC 9110, sections 4.2.1 and 4.2.2, and RFC 1928,
section 3.  (curl takes 1080 for C{http} as well.)
"""

_LONGEST_CREDENTIAL = 255
"""
Bytes of a user name, and of a password (RFC 1929, section 2).
"""

_URL = re.compile(r"([a-z0-9+.-]+)://(?:([^/?#]*)@)?([^/?#@]*)/?", re.IGNORECASE)
# RFC 7617, section 2: neither may contain control characters.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_RESOLVES_HERE = {"socks", "socks4", "socks4a", "socks5"}


@attrs.frozen
class Credentials:
    """
    What a proxy wants to know of its user.  The text of this object tells
    nothing of them.
    """

    user: str = attrs.field(repr=False)
    password: str = attrs.field(repr=False)


@attrs.frozen
class Proxy:
    """
    A proxy; its text is its URL without credentials.

    @ivar scheme: C{http} and C{https} speak CONNECT (RFC 9110, section
        9.3.6), C{socks5h} SOCKS version 5 (RFC 1928).
    @ivar host: without a port.
    """

    scheme: Scheme
    host: ServerName
    port: int
    credentials: Credentials | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def read_proxy(setting: str, value: object) -> Proxy:
    """
    Read the URL of a proxy.

    @raise ConfigurationError: when it is none; says nothing of what is in it
        but its scheme, because it may hold a password.
    """
    matched = _URL.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        raise ConfigurationError.of(setting, "expected the URL of a proxy, as socks5h://user:password@host:port")
    scheme = _read_scheme(setting, matched[1].lower())
    authority = _authority(matched[3])
    if authority is None:
        raise ConfigurationError.of(setting, f"the {scheme} URL of the proxy has no valid host and port")
    credentials = None if matched[2] is None else _read_credentials(setting, scheme, matched[2])
    return Proxy(scheme, authority.without_port, authority.port or DEFAULT_PORTS[scheme], credentials)


def _read_scheme(setting: str, scheme: str) -> Scheme:
    if scheme in _RESOLVES_HERE:
        reason = f"write socks5h:// instead of {scheme}://: names are resolved by the proxy, never here"
        raise ConfigurationError.of(setting, reason)
    if scheme not in DEFAULT_PORTS:
        raise ConfigurationError.of(setting, f"a proxy is http://, https:// or socks5h://, not {scheme}://")
    return scheme


def _authority(text: str) -> ServerName | None:
    """
    Read a host and port; a colon without a port is none.
    """
    try:
        return ServerName.parse(text.removesuffix(":"))
    except InvalidServerName:
        return None


def _read_credentials(setting: str, scheme: Scheme, text: str) -> Credentials:
    """
    Read C{user:password}, each percent-encoded UTF-8 (RFC 3986, section
    3.2.1).
    """
    user, _, password = (_decoded(part) for part in text.partition(":"))
    if user is None or password is None:
        raise ConfigurationError.of(setting, "the credentials of the proxy are no percent-encoded UTF-8 text")
    if not user or _CONTROL.search(user + password):
        raise ConfigurationError.of(setting, "the credentials of the proxy lack a user or hold control characters")
    if scheme == "socks5h":
        if not all(0 < len(part.encode()) <= _LONGEST_CREDENTIAL for part in (user, password)):
            reason = f"SOCKS5 wants a user and a password of 1 to {_LONGEST_CREDENTIAL} bytes each (RFC 1929)"
            raise ConfigurationError.of(setting, reason)
    elif ":" in user:
        raise ConfigurationError.of(setting, "a user name may not hold a colon (RFC 7617, section 2)")
    return Credentials(user, password)


def _decoded(text: str) -> str | None:
    """
    Decode a part of the credentials.  What is wrong with it is not said: the
    exception would hold it.
    """
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeError:
        return None
