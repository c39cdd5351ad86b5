"""
DNS queries by UDP: sent, sent again, answered.
"""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.names import dns

from .._descriptors import run_out
from .questions import read_message
from .timetable import Timetable
from .udp_sockets import UDPSockets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from random import Random

    from .._policies import Address
    from .._reactor import IReactor
    from .questions import Question
    from .udp_sockets import Socket

    Server = tuple[Address, int]


@attrs.define(eq=False)
class _Query:
    """
    A query that is under way.

    @ivar tries: whom to ask next, and the seconds that it then has.
    @ivar asked: whose answer counts: a name server that was given up for
        another may still be the first to answer.
    @ivar place: the socket, and the identifier there.
    """

    question: Question
    tries: Iterator[tuple[Server, float]]
    answer: Deferred[tuple[dns.Message, Server]]
    asked: set[Server] = attrs.field(factory=set)
    place: tuple[Socket, int] | None = None


class UDPQueries:
    """
    Sends queries from sockets that they share, with one timer for all.
    """

    def __init__(self, reactor: IReactor, rng: Random) -> None:
        """
        @param rng: draws sockets and identifiers.
        """
        self._sockets = UDPSockets(reactor, rng)
        self._timetable: Timetable[_Query] = Timetable(reactor, self._try_next)

    def ask(self, question: Question, tries: Iterable[tuple[Server, float]]) -> Deferred[tuple[dns.Message, Server]]:
        """
        Ask one name server after the other until one answers.

        @param tries: name servers, and the seconds that each has before the
            next is asked too.
        @return: fires with the first answer, whatever it says, and who gave
            it; fails with C{DNSQueryTimeoutError}, or with the C{OSError} or
            C{CannotListenError} that came in the way at last.
        """
        query = _Query(question, iter(tries), Deferred(lambda _: self._end(query)))
        self._try_next(query)
        return query.answer

    def _try_next(self, query: _Query) -> None:
        error: Exception | None = None
        for server, seconds in query.tries:
            try:
                self._send(query, server)
            except (OSError, CannotListenError) as failure:
                error = failure
                if run_out(error):
                    break
            else:
                self._timetable.put(query, seconds)
                return
        silent = dns.DNSQueryTimeoutError(0 if query.place is None else query.place[1])
        self._end(query)
        query.answer.errback(error or silent)

    def _send(self, query: _Query, server: Server) -> None:
        """
        Send a query; by the same socket and with the same identifier as
        before, so that no answer is too late, unless the other family needs
        another socket.
        """
        address, port = server
        interface = "::" if isinstance(address, IPv6Address) else ""
        if query.place is None or query.place[0].interface != interface:
            place = self._sockets.take(interface, lambda message, origin: self._hear(query, message, origin))
            self._leave(query)
            query.place = place
        socket, identifier = query.place
        query.asked.add(server)
        # A datagram for which there is no room is lost, as others are on their
        # way.
        with suppress(BlockingIOError):
            socket.send(query.question.sent_as(identifier), (str(address), port))

    def _hear(self, query: _Query, message: bytes, origin: tuple[str, int]) -> None:
        """
        Take an answer; anything else is dropped without a word (RFC 5452,
        section 9.1).
        """
        server = (ip_address(origin[0]), origin[1])
        if query.place is None or server not in query.asked:
            return
        answer = read_message(message) if query.question.answered_by(message, query.place[1]) else None
        if answer is not None:
            self._timetable.drop(query)
            query.answer.callback((answer, server))
            # Not before: whoever had to wait for the answer often has the
            # next question, which then needs no socket of its own.
            self._leave(query)

    def _end(self, query: _Query) -> None:
        self._timetable.drop(query)
        self._leave(query)

    def _leave(self, query: _Query) -> None:
        if query.place is not None:
            self._sockets.give_back(*query.place)
            query.place = None
