"""
Every failure that a user of the agent can see.

There is one root, L{FederationError}.  It says which server was meant and in
which phase of the way the request ended.  Leaves carry what is known as
fields, so that programs need not read prose, and inherit Twisted's class
where callers of an C{IAgent} already catch that one.

This module decides nothing and touches no network; C{twisted.internet.error}
holds exception classes only.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import attrs
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.web.error import SchemeNotSupported

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from ipaddress import IPv4Network, IPv6Network

__all__ = [
    "AddressDenied",
    "AgentClosed",
    "Attempt",
    "BodyTooLong",
    "CertificateRejected",
    "ConfigurationError",
    "ConnectionFailed",
    "FederationError",
    "HandshakeFailed",
    "InvalidRequest",
    "InvalidServerName",
    "InvalidURI",
    "Phase",
    "ProxyError",
    "ResolutionFailed",
    "ResponseFailed",
    "ServiceUnavailable",
    "TimedOut",
    "UnsupportedScheme",
]

Phase = Literal["configuration", "uri", "pool", "dns", "policy", "tcp", "proxy", "tls", "http"]
"""
The part of the way on which a request ended, in the order of travel.
"""


@attrs.frozen
class Attempt:
    """
    One try to reach a server, and how it ended.

    @ivar target: where it went, as C{host:port}.
    @ivar address: the IP address that was dialled, or L{None} when the
        attempt ended before there was one.
    @ivar error: why it failed.
    """

    target: str
    address: str | None
    error: FederationError

    @property
    def phase(self) -> Phase:
        """
        The phase in which this attempt ended.
        """
        return self.error.phase

    def __str__(self) -> str:
        via = f" ({self.address})" if self.address not in (None, self.target.rpartition(":")[0].strip("[]")) else ""
        return f"{self.target}{via} [{self.phase}]: {self.error.reason}"


@attrs.define(eq=False, slots=False, str=False)
class FederationError(Exception):
    """
    A request to another Matrix server failed, or could not be made.

    @ivar server_name: the Matrix server name that was asked for; empty where
        there is none, as in a malformed URI.
    @ivar reason: what went wrong, in words fit for an operator's log.
    @ivar phase: the part of the way on which it ended.
    @ivar attempts: every try to connect that preceded this error, in order.
    """

    server_name: str
    reason: str
    phase: Phase = attrs.field(default="http", kw_only=True)
    attempts: tuple[Attempt, ...] = attrs.field(default=(), kw_only=True)

    # Twisted's ConnectError has it; ours tells its cause by __cause__.
    osError: ClassVar[None] = None

    def __reduce__(self) -> tuple[object, ...]:
        """
        Survive a pickle: keyword-only fields are no positional arguments.
        """
        return partial(type(self), **attrs.asdict(self, recurse=False)), ()

    def __str__(self) -> str:
        subject = f"{self.server_name}: " if self.server_name else ""
        return f"{subject}{self.reason}"

    def concerning(self, server_name: str, reason: str = "", attempts: tuple[Attempt, ...] = ()) -> Self:
        """
        Copy this error, to tell it of the server that was asked for; the
        original may be shared, or be part of an L{Attempt}.

        @param reason: replaces the reason, unless it is empty.
        """
        copy = attrs.evolve(self, server_name=server_name, reason=reason or self.reason, attempts=attempts)
        copy.__cause__ = self.__cause__
        return copy


@attrs.define(eq=False, slots=False, str=False)
class ConfigurationError(FederationError, ValueError):
    """
    A setting is not usable.

    @ivar setting: the name of the field or option.
    """

    phase: Phase = attrs.field(default="configuration", kw_only=True)
    setting: str = attrs.field(default="", kw_only=True)

    @classmethod
    def of(cls, setting: str, reason: str) -> ConfigurationError:
        """
        Make the error for one setting, which the text then names.
        """
        return cls("", f"{setting}: {reason}", setting=setting)


@attrs.define(eq=False, slots=False, str=False)
class InvalidServerName(FederationError, ValueError):
    """
    A text is no Matrix server name.

    @ivar position: the index of the first offending character.
    """

    phase: Phase = attrs.field(default="uri", kw_only=True)
    position: int = attrs.field(default=0, kw_only=True)

    def __str__(self) -> str:
        return f"{self.server_name!r} is not a server name: {self.reason} (at position {self.position})"


@attrs.define(eq=False, slots=False, str=False)
class InvalidRequest(FederationError, ValueError):
    """
    A request cannot be sent as it was made.
    """

    phase: Phase = attrs.field(default="uri", kw_only=True)


@attrs.define(eq=False, slots=False, str=False)
class InvalidURI(InvalidRequest):
    """
    A request was made to something that is no absolute URI of a server.

    @ivar uri: the offending text, shortened to what a log line can hold.
    """

    uri: str = attrs.field(default="", kw_only=True)

    def __str__(self) -> str:
        return f"{self.uri!r} cannot be requested: {self.reason}"


@attrs.define(eq=False, slots=False, str=False)
class UnsupportedScheme(InvalidURI, SchemeNotSupported):
    """
    The scheme of the URI is none that this agent speaks.
    """


@attrs.define(eq=False, slots=False, str=False)
class ResolutionFailed(FederationError, DNSLookupError):
    """
    A name was not resolved.

    @ivar name: the name that was looked up.
    @ivar temporary: whether asking again later may help; L{False} when DNS
        said that there is nothing.
    """

    phase: Phase = attrs.field(default="dns", kw_only=True)
    name: str = attrs.field(default="", kw_only=True)
    temporary: bool = attrs.field(default=False, kw_only=True)


@attrs.define(eq=False, slots=False, str=False)
class ServiceUnavailable(FederationError, ConnectError):
    """
    DNS says that the service is decidedly not available at this domain: its
    only SRV record points at the root (RFC 2782, "Target").
    """

    phase: Phase = attrs.field(default="dns", kw_only=True)


@attrs.define(eq=False, slots=False, str=False)
class AddressDenied(FederationError, ConnectError):
    """
    The address policy forbids to connect to this address.

    @ivar address: the address.
    @ivar network: the denied range that holds it.
    """

    phase: Phase = attrs.field(default="policy", kw_only=True)
    address: str = attrs.field(default="", kw_only=True)
    network: IPv4Network | IPv6Network | None = attrs.field(default=None, kw_only=True)

    @classmethod
    def by(cls, server_name: str, address: str, network: IPv4Network | IPv6Network) -> AddressDenied:
        """
        Make the error that names the address and the range.
        """
        reason = f"address {address} was refused by the address policy (it lies in {network})"
        return cls(server_name, reason, address=address, network=network)


@attrs.define(eq=False, slots=False, str=False)
class ConnectionFailed(FederationError, ConnectError):
    """
    No attempt led to a connection to the server; C{attempts} holds them all.
    """

    phase: Phase = attrs.field(default="tcp", kw_only=True)


@attrs.define(eq=False, slots=False, str=False)
class AgentClosed(ConnectionFailed):
    """
    The agent that was asked is closed.
    """

    reason: str = attrs.field(default="the agent is closed")
    phase: Phase = attrs.field(default="pool", kw_only=True)


@attrs.define(eq=False, slots=False, str=False)
class ProxyError(ConnectionFailed):
    """
    A proxy did not lead to the server: it was not reached, or it refused.

    @ivar proxy: its URL, without credentials.
    @ivar status: of its HTTP response, or its SOCKS reply code, or L{None}
        where there was neither.
    """

    phase: Phase = attrs.field(default="proxy", kw_only=True)
    proxy: str = attrs.field(default="", kw_only=True)
    status: int | None = attrs.field(default=None, kw_only=True)


@attrs.define(eq=False, slots=False, str=False)
class HandshakeFailed(ConnectionFailed):
    """
    TCP was accepted, but no TLS connection came about.
    """

    phase: Phase = attrs.field(default="tls", kw_only=True)


@attrs.define(eq=False, slots=False, str=False)
class CertificateRejected(HandshakeFailed):
    """
    The server showed a certificate that does not prove its identity.

    @ivar depth: the place of the offending certificate in the chain; 0 is the
        server's own.
    @ivar code: OpenSSL's number for the verification error, or L{None} when
        the chain is sound and the identity is not.
    @ivar names: the first DNS names and addresses in the offending
        certificate, printable; empty where they cannot be read.
    @ivar subject: of the offending certificate, as in RFC 4514, printable;
        empty where it cannot be read.
    @ivar issuer: as C{subject}.
    @ivar not_before: when its validity begins, or L{None} where that cannot
        be read.
    @ivar not_after: when its validity ends, as C{not_before}.
    """

    depth: int = attrs.field(default=0, kw_only=True)
    code: int | None = attrs.field(default=None, kw_only=True)
    names: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    subject: str = attrs.field(default="", kw_only=True)
    issuer: str = attrs.field(default="", kw_only=True)
    not_before: datetime | None = attrs.field(default=None, kw_only=True)
    not_after: datetime | None = attrs.field(default=None, kw_only=True)


@attrs.define(eq=False, slots=False, str=False)
class TimedOut(FederationError, TwistedTimeoutError):
    """
    A phase took longer than its policy allows.

    @ivar seconds: the limit.
    """

    phase: Phase = attrs.field(default="tcp", kw_only=True)
    seconds: float = attrs.field(default=0.0, kw_only=True)


@attrs.define(eq=False, slots=False, str=False)
class ResponseFailed(FederationError, ConnectionLost):
    """
    The request was sent, at least in part, but no usable response arrived.
    """

    phase: Phase = attrs.field(default="http", kw_only=True)


@attrs.define(eq=False, slots=False, str=False)
class BodyTooLong(ResponseFailed):
    """
    The body of a response is longer than its reader allows.

    @ivar limit: in bytes.
    """

    limit: int = attrs.field(default=0, kw_only=True)


def summarised(server_name: str, attempts: Sequence[Attempt]) -> FederationError:
    """
    Make the one error that tells what became of all attempts.

    Where all attempts ended alike, the error has their own class, so that
    "refused by address policy" or "certificate rejected" is not hidden behind
    a general "connection failed".

    @param attempts: at least one attempt, in the order in which they were made.
    """
    last = attempts[-1].error
    listing = "; ".join(map(str, attempts))
    if any(type(attempt.error) is not type(last) for attempt in attempts):
        reason = f"all attempts failed: {listing}"
        return ConnectionFailed(server_name, reason, phase=last.phase, attempts=tuple(attempts))
    reason = last.reason if len(attempts) == 1 else f"all attempts failed: {listing}"
    return last.concerning(server_name, reason, tuple(attempts))
