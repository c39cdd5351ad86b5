"""
The default resolver: it asks the system's name servers, with the messages and
the errors of C{twisted.names}.

The resolver of C{twisted.names} itself shares one lookup between callers and
fails all of them when the first is cancelled; it leaves its timers and sockets
behind when it is; it opens a socket for every datagram, and keeps a TCP
connection open after a truncated answer; and it re-reads C{resolv.conf} by a
timer that never ends.
"""

from __future__ import annotations

from ipaddress import ip_address
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.names import common, dns

from .._descriptors import once_there_are_descriptors
from .questions import Question
from .tcp_queries import ask_by_tcp
from .udp_queries import UDPQueries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from .._reactor import IReactor
    from .resolv_conf import NameServer
    from .udp_queries import Server

    Sections = tuple[list[dns.RRHeader], list[dns.RRHeader], list[dns.RRHeader]]

TRIES = (1, 2, 3, 4)
"""
Seconds that each name server has for an answer, try by try.
"""


class NameServerResolver(common.ResolverBase):
    """
    An C{IResolver} that asks name servers, and leaves nothing behind.
    """

    def __init__(
        self,
        reactor: IReactor,
        servers: Callable[[], Sequence[NameServer]] | Sequence[NameServer],
        rng: Random | None = None,
    ) -> None:
        """
        @param servers: the addresses and ports of the name servers, or a
            callable that tells them at each lookup.
        @param rng: by default the operating system's.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._servers = servers if callable(servers) else lambda: servers
        self._rng = rng or SystemRandom()
        self._by_udp = UDPQueries(reactor, self._rng)
        self._read: tuple[list[NameServer], list[Server]] = ([], [])

    def _lookup(self, name: bytes, cls: int, type: int, timeout: Sequence[float] | None) -> Deferred[Any]:
        """
        Send one query; where no socket can be had for it, wait for one.
        C{ResolverBase} calls this for every kind of lookup.
        """
        return Deferred.fromCoroutine(self._sections(name, cls, type, timeout or TRIES))

    async def _sections(self, name: bytes, cls: int, type: int, limits: Sequence[float]) -> Sections:
        """
        Ask, and tell the sections of the answer.

        @raise Exception: what C{twisted.names} makes of a response code, of
            the message.
        """
        question = Question.of(name, type, cls)
        answer, (address, port) = await once_there_are_descriptors(
            self._reactor, lambda: self._by_udp.ask(question, self._tries(limits))
        )
        if answer.trunc:
            identifier = self._rng.getrandbits(16)
            answer = await ask_by_tcp(self._reactor, (str(address), port), question, identifier)
        if answer.rCode != dns.OK:
            raise self.exceptionForCode(answer.rCode)(answer)  # type: ignore[no-untyped-call]
        return answer.answers, answer.authority, answer.additional

    def _tries(self, limits: Sequence[float]) -> Iterator[tuple[Server, float]]:
        """
        Each name server in turn, and all of them again with the next time
        limit.
        """
        written = list(self._servers())
        if written != self._read[0]:
            self._read = written, [(ip_address(host), port) for host, port in written]
        servers = self._read[1]
        return ((server, seconds) for seconds in limits for server in servers)
