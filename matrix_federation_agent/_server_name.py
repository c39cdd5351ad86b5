"""
The grammar of Matrix server names, parsed once.

Source: Matrix specification, Appendices, "Server Name"::

    server_name = hostname [ ":" port ]
    port        = 1*5DIGIT
    hostname    = IPv4address / "[" IPv6address "]" / dns-name
    IPv4address = 1*3DIGIT "." 1*3DIGIT "." 1*3DIGIT "." 1*3DIGIT
    IPv6address = 2*45IPv6char
    IPv6char    = DIGIT / %x41-46 / %x61-66 / ":" / "."
    dns-name    = 1*255dns-char
    dns-char    = DIGIT / ALPHA / "-" / "."
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import attrs

from .errors import InvalidServerName

MAXIMUM_LENGTH = 255
"""
Characters in a server name.  The grammar's C{1*255dns-char}; the
specification's limit for user ids, which contain one, is 255 as well.
"""

MAXIMUM_LABEL = 63
"""
Characters in one label of a DNS name (RFC 1035, section 2.3.4).
"""

_NOT_DNS_CHAR = re.compile(r"[^0-9A-Za-z.-]")
_NOT_IPV6_CHAR = re.compile(r"[^0-9A-Fa-f:.]")

# RFC 1123, section 2.1: a host name's last label is never all digits.  C
# resolvers and the WHATWG URL standard ("ends in a number") read such names,
# and those that end in a 0x number, as IPv4 addresses.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


_Parts = tuple[str, int | None, IPv4Address | IPv6Address | None]
"""
Host, port and literal.  The garbage collector does not look at a tuple of
texts and numbers again, and thousands of names are remembered.
"""


@attrs.frozen(repr=False)
class ServerName:
    """
    A valid Matrix server name: every instance is one, for there is no other
    way to make an instance than through the grammar.

    Two names are equal when their texts are: C{EXAMPLE.com} and
    C{example.com} are different Matrix servers (but one DNS name), and no
    port, C{:80} and C{:8448} differ.

    @ivar text: the name as it was given.
    @raise InvalidServerName: when the text is not in the grammar.
    """

    text: str
    _parts: _Parts = attrs.field(init=False, eq=False)

    @_parts.default
    def _parse_text(self) -> _Parts:
        return _split(self.text)

    @classmethod
    def parse(cls, text: bytes | str) -> ServerName:
        """
        Read a server name.

        @raise InvalidServerName: when the text is not in the grammar; says
            what is wrong, and where.
        """
        if isinstance(text, bytes):
            # latin-1 keeps one character a byte, so that positions are right;
            # the grammar then refuses whatever is not ASCII.
            text = text.decode("latin-1")
        return cls(text)

    @property
    def host(self) -> str:
        """
        The host part: a DNS name as given, or an IP address without brackets.
        """
        return self._parts[0]

    @property
    def port(self) -> int | None:
        """
        The explicit port, or L{None} where there is none.
        """
        return self._parts[1]

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        """
        The address when the host is an IP literal, or L{None} when it is a
        DNS name.
        """
        return self._parts[2]

    @property
    def tls_name(self) -> str:
        """
        What the certificate must name: the host, in lower case, because
        certificates and SNI compare DNS names without case.
        """
        return self.host.lower()

    @property
    def without_port(self) -> ServerName:
        """
        The same host, without its port.
        """
        if self.port is None:
            return self
        return ServerName(f"[{self.host}]" if isinstance(self.literal, IPv6Address) else self.host)

    @property
    def host_header(self) -> bytes:
        """
        The value of the C{Host} header: the name as given, port included
        (specification, "Resolving server names", steps 1 to 6).
        """
        return self.text.encode("ascii")

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"ServerName({self.text!r})"


def _split(text: str) -> _Parts:
    """
    Take a server name apart.

    @raise InvalidServerName: when the text is not in the grammar.
    """
    if not text:
        raise InvalidServerName(text, "it is empty")
    if len(text) > MAXIMUM_LENGTH:
        reason = f"it is longer than {MAXIMUM_LENGTH} characters"
        raise InvalidServerName(text[:MAXIMUM_LENGTH], reason, position=MAXIMUM_LENGTH)
    if text.startswith("["):
        return _split_ipv6(text)
    host, colon, port = text.partition(":")
    if ":" in port:
        reason = "an IPv6 address must stand in brackets, and a name has one port"
        raise InvalidServerName(text, reason, position=text.index(":", len(host) + 1))
    literal = _check_name_or_ipv4(text, host)
    return host, _port(text, len(host) + 1) if colon else None, literal


def _split_ipv6(text: str) -> _Parts:
    """
    Take C{[address]} or C{[address]:port} apart.
    """
    end = text.find("]")
    if end < 0:
        raise InvalidServerName(text, "the bracket is not closed", position=len(text))
    inner = text[1:end]
    if wrong := _NOT_IPV6_CHAR.search(inner):
        raise InvalidServerName(text, f"{wrong[0]!r} may not stand in an IPv6 address", position=1 + wrong.start())
    try:
        literal = IPv6Address(inner)
    except AddressValueError as error:
        raise InvalidServerName(text, "it is no IPv6 address", position=1) from error
    rest = text[end + 1 :]
    if rest and not rest.startswith(":"):
        raise InvalidServerName(text, "only a port may follow the bracket", position=end + 1)
    return inner, _port(text, end + 2) if rest else None, literal


def _port(text: str, start: int) -> int:
    """
    Read the port that begins at C{start}.

    The grammar admits five digits; what TCP admits is 1 to 65535.
    """
    digits = text[start:]
    # str.isdigit() alone takes digits of every script.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5):
        raise InvalidServerName(text, "a port is one to five digits", position=start)
    number = int(digits)
    if not 0 < number < 65536:
        raise InvalidServerName(text, "a port lies between 1 and 65535", position=start)
    return number


def _check_name_or_ipv4(text: str, host: str) -> IPv4Address | None:
    """
    Check a host without brackets.

    @return: the address when it is an IPv4 literal, L{None} when it is a
        valid DNS name.
    """
    if not host:
        raise InvalidServerName(text, "there is no host")
    if wrong := _NOT_DNS_CHAR.search(host):
        raise InvalidServerName(text, f"{wrong[0]!r} may not stand in a host", position=wrong.start())
    _check_labels(text, host.split("."))
    last = host.rpartition(".")[2]
    if not _NUMBER.fullmatch(last):
        return None
    try:
        return IPv4Address(host)
    except AddressValueError as error:
        reason = "a name whose last label is a number must be an IPv4 address"
        raise InvalidServerName(text, reason, position=len(host) - len(last)) from error


def _check_labels(text: str, labels: list[str]) -> None:
    """
    Check that no label is empty or longer than DNS can carry.
    """
    position = 0
    for label in labels:
        if not label:
            raise InvalidServerName(text, "a label is empty", position=position)
        if len(label) > MAXIMUM_LABEL:
            raise InvalidServerName(text, f"a label is longer than {MAXIMUM_LABEL} characters", position=position)
        position += len(label) + 1
