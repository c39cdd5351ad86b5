"""
A resolver without a network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.names import common, dns
from twisted.names.error import DNSNameError, DNSServerError

Answer = Sequence[Any] | Exception | Deferred[Any]


class FakeResolver(common.ResolverBase):
    """
    An C{IResolver} that knows what it is told; anything else does not exist.

    @ivar asked: every query, as C{"SRV name"}.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asked: list[str] = []
        self.answers: dict[str, Callable[[], Answer]] = {}
        self.negative_ttl: int | None = None

    def know(self, query: str, *records: Any, ttl: int = 300) -> None:
        """
        Answer a query, written as C{"SRV name"}, with records.
        """
        name = query.partition(" ")[2].encode("ascii")
        headers = [dns.RRHeader(name, record.TYPE, ttl=ttl, payload=record) for record in records]
        self.answers[query] = lambda: headers

    def fail(self, query: str, error: Exception | None = None) -> None:
        """
        Let a query fail.
        """
        self.answers[query] = lambda: error or DNSServerError(dns.Message(rCode=dns.ESERVER))

    def hang(self, query: str) -> Deferred[Any]:
        """
        Let a query wait.
        """
        waiting: Deferred[Any] = Deferred()
        self.answers[query] = lambda: waiting
        return waiting

    def _lookup(self, name: bytes, cls: int, type: int, timeout: object) -> Deferred[Any]:
        query = f"{dns.QUERY_TYPES[type]} {name.decode('ascii')}"
        self.asked.append(query)
        answer = self.answers.get(query, self._nothing)()
        if isinstance(answer, Deferred):
            return answer
        if isinstance(answer, Exception):
            return fail(answer)
        return succeed((list(answer), [], []))

    def _nothing(self) -> Answer:
        message = dns.Message(rCode=dns.ENAME)
        if self.negative_ttl is not None:
            start = dns.Record_SOA(minimum=self.negative_ttl, ttl=self.negative_ttl)
            message.authority = [dns.RRHeader(b"example", dns.SOA, ttl=self.negative_ttl, payload=start)]
        return DNSNameError(message)
