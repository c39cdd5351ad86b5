"""
SOCKS version 5 (RFC 1928), with user name and password (RFC 1929).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .negotiation import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._discovery.routing import Target
    from .._policies import Proxy
    from .._policies.proxy_urls import Credentials

# RFC 1928, sections 3 to 6.
_VERSION = 5
_NO_AUTHENTICATION = 0
_USER_AND_PASSWORD = 2
_NO_ACCEPTABLE_METHOD = 0xFF
_CONNECT = 1
_DOMAIN = 3
_ADDRESS_TYPES = {4: 1, 6: 4}
_ADDRESS_LENGTHS = {1: 4, 4: 16}

REPLIES = {
    1: "it failed without saying why",
    2: "it does not permit this connection",
    3: "the network cannot be reached from it",
    4: "the host cannot be reached from it, or its name is not known there",
    5: "the server refused the connection",
    6: "the server did not answer it in time",
    7: "it does not know the command CONNECT",
    8: "it does not know this kind of address",
}
"""
Reply codes, in words (RFC 1928, section 6).
"""


class Socks5:
    """
    Asks a SOCKS5 proxy for a connection to a server, by name where it has
    one.

    @ivar remainder: what came after the proxy's last reply.
    """

    def __init__(self, proxy: Proxy, target: Target) -> None:
        self.remainder: bytes | None = None
        self._credentials = proxy.credentials
        self._target = target
        self._received = b""
        self._next: Callable[[], bytes | None] = self._method

    def begin(self) -> bytes:
        """
        Offer the methods of authentication.
        """
        return method_offer(self._credentials)

    def receive(self, data: bytes) -> bytes:
        """
        Take what the proxy sent.

        @return: what is sent next.
        @raise Refused: when it refuses, or does not speak SOCKS5.
        """
        self._received += data
        sent = b""
        while self.remainder is None and (answer := self._next()) is not None:
            sent += answer
        return sent

    def _take(self, count: int) -> bytes:
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def _method(self) -> bytes | None:
        """
        Take the method that the proxy chose.
        """
        if len(self._received) < 2:
            return None
        method = chosen_method(self._take(2), self._credentials)
        if method == _USER_AND_PASSWORD and self._credentials is not None:
            self._next = self._verdict
            return authentication(self._credentials)
        self._next = self._reply
        return connect_request(self._target)

    def _verdict(self) -> bytes | None:
        """
        Take what the proxy says of the credentials.
        """
        if len(self._received) < 2:
            return None
        check_verdict(self._take(2))
        self._next = self._reply
        return connect_request(self._target)

    def _reply(self) -> bytes | None:
        """
        Take the reply to the request.
        """
        length = reply_length(self._received)
        if length is None or len(self._received) < length:
            return None
        self._take(length)
        self.remainder = self._received
        return b""


def method_offer(credentials: Credentials | None) -> bytes:
    """
    Offer to do without authentication, and to give the credentials if there
    are any (RFC 1928, section 3).
    """
    methods = [_NO_AUTHENTICATION] if credentials is None else [_NO_AUTHENTICATION, _USER_AND_PASSWORD]
    return bytes([_VERSION, len(methods), *methods])


def chosen_method(answer: bytes, credentials: Credentials | None) -> int:
    """
    Read which method the proxy chose.

    @param answer: two bytes.
    @raise Refused: when it is none that was offered.
    """
    version, method = answer
    if version != _VERSION:
        raise Refused("it does not speak SOCKS5")
    if method == _NO_ACCEPTABLE_METHOD:
        none = "wants credentials, and it was given none"
        raise Refused(f"it {none if credentials is None else 'does not accept a user and password'}")
    if method != _NO_AUTHENTICATION and (method != _USER_AND_PASSWORD or credentials is None):
        raise Refused("it chose a method of authentication that it was not offered")
    return method


def authentication(credentials: Credentials) -> bytes:
    """
    Give the credentials (RFC 1929, section 2).
    """
    user, password = credentials.user.encode(), credentials.password.encode()
    return b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password


def check_verdict(answer: bytes) -> None:
    """
    Read what the proxy says of the credentials (RFC 1929, section 2).

    @param answer: two bytes.
    @raise Refused: when it does not accept them.
    """
    version, status = answer
    if version != 1:
        raise Refused("it does not speak SOCKS5")
    if status != 0:
        raise Refused("it does not accept the credentials that it was given")


def connect_request(target: Target) -> bytes:
    """
    Ask for a connection (RFC 1928, sections 4 and 5): the proxy resolves
    names.
    """
    literal = target.host.literal
    if literal is None:
        name = target.host.host.encode("ascii")
        address = bytes([_DOMAIN, len(name)]) + name
    else:
        address = bytes([_ADDRESS_TYPES[literal.version]]) + literal.packed
    return bytes([_VERSION, _CONNECT, 0]) + address + target.port.to_bytes(2, "big")


def reply_length(reply: bytes) -> int | None:
    """
    Tell how long the reply to a request is, once it has begun (RFC 1928,
    section 6).

    @return: in bytes, or L{None} while that is not known.
    @raise Refused: when it is no success.
    """
    if reply and reply[0] != _VERSION:
        raise Refused("it does not speak SOCKS5")
    if len(reply) > 1 and reply[1] != 0:
        raise Refused(REPLIES.get(reply[1], f"it failed with the unknown reply {reply[1]}"), reply[1])
    if len(reply) < 5:
        return None
    # To CONNECT it holds "the associated IP address", but some proxies say
    # the name; what it says counts for nothing.
    length = 1 + reply[4] if reply[3] == _DOMAIN else _ADDRESS_LENGTHS.get(reply[3])
    if length is None:
        raise Refused("its reply holds no address")
    return 4 + length + 2
