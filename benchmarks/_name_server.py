"""
DNS of the crowd, in a process of its own.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.names import dns

from matrix_federation_agent.testing import NameServer
from matrix_federation_agent.testing._zone import Reply, folded

from ._crowd import is_host, service_target
from ._process import ServedProcess, serve

_TTL = 86400


class CrowdZone(NameServer):
    """
    A name server that works out its records, so that many names cost no more than one.
    """

    def reply(self, name: str, record_type: int) -> Reply:
        """
        Answer for the crowd.
        """
        owner = folded(name)
        if record_type == dns.A and is_host(owner):
            return _one(owner, dns.Record_A("127.0.0.1", ttl=_TTL))
        target = service_target(owner)
        if record_type == dns.SRV and target:
            return _one(owner, dns.Record_SRV(0, 0, 8443, target.encode("ascii"), ttl=_TTL))
        absent = super().reply(owner, record_type)
        exists = is_host(owner) or target is not None
        return Reply(dns.OK if exists else dns.ENAME, authority=absent.authority if absent else ())


def _one(owner: str, record: Any) -> Reply:
    return Reply(dns.OK, (dns.RRHeader(owner.encode("ascii"), record.TYPE, ttl=_TTL, payload=record, auth=True),))


class CrowdNames:
    """
    The name server, and what was asked there.
    """

    def __init__(self, reactor: Any, _given: object) -> None:
        self._server = CrowdZone.new(reactor, negative_ttl=_TTL)

    def describe(self) -> dict[str, Any]:
        """
        Tell where it is.
        """
        return {"name_server": self._server.address}

    def counts(self) -> dict[str, Any]:
        """
        Tell what was asked since the last time.
        """
        queries = Counter(f"{kind} {name}" for name, kind in self._server.queries)
        self._server.queries.clear()
        return {"queries": queries}

    def stop(self) -> Deferred[None]:
        """
        End it.
        """
        return Deferred.fromCoroutine(self._server.stop())


class NameServerProcess(ServedProcess):
    """
    The name server, seen from the process that started it; ends with the C{with} block.
    """

    def __init__(self) -> None:
        super().__init__("benchmarks._name_server", None)


if __name__ == "__main__":
    serve(CrowdNames)
