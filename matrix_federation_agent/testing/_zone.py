"""
What the name server knows, and what it answers: no sockets here.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import attrs
from twisted.names import dns

Record = Any
"""
One of the record classes of L{dns}: they share no type that has their fields.
"""

_MAXIMUM_ALIASES = 8


@attrs.frozen
class Reply:
    """
    The substance of an answer.

    @ivar rcode: the response code (RFC 1035, 4.1.1).
    @ivar answers: the answer section.
    @ivar authority: the authority section: the SOA record of a negative answer (RFC 2308, 2).
    """

    rcode: int
    answers: tuple[dns.RRHeader, ...] = ()
    authority: tuple[dns.RRHeader, ...] = ()


def folded(name: str) -> str:
    """
    Spell a name as it is compared: without case (RFC 4343) and without the root's dot.

    @param name: a DNS name.
    """
    return name.lower().rstrip(".")


def address_text(record: Record) -> str | None:
    """
    Read an address record.

    @param record: the content of any record.
    @return: the address as text, or L{None} for a record of another type.
    """
    return ip_address(record.address).compressed if record.TYPE in (dns.A, dns.AAAA) else None


class Zone:
    """
    Records and scripted failures of any number of names.

    @ivar negative_ttl: seconds for which the absence of something may be remembered.
    """

    def __init__(self, negative_ttl: int = 300) -> None:
        """
        Begin without records.

        @param negative_ttl: seconds for which the absence of something may be remembered.
        """
        self.negative_ttl = negative_ttl
        self._records: dict[str, list[Record]] = {}
        self._failures: dict[str, int] = {}
        self._silent: set[str] = set()

    def add_address(self, name: str, address: str, ttl: int = 300) -> None:
        """
        Add an A or an AAAA record.

        @param name: the owner.
        @param address: an IPv4 or IPv6 address.
        @param ttl: seconds.
        @raise ValueError: when C{address} is none.
        """
        kind = dns.Record_AAAA if ip_address(address).version == 6 else dns.Record_A
        self._add(name, kind(address, ttl=ttl))

    def add_service(
        self, name: str, target: str, port: int, priority: int = 0, weight: int = 0, ttl: int = 300
    ) -> None:
        """
        Add an SRV record (RFC 2782).

        @param name: the owner, such as C{_matrix-fed._tcp.example.org}.
        @param target: the host, or C{.}: "the service is decidedly not available".
        @param port: the port.
        @param priority: lower ones are tried first.
        @param weight: the share within one priority.
        @param ttl: seconds.
        """
        self._add(name, dns.Record_SRV(priority, weight, port, target.rstrip(".").encode("ascii"), ttl=ttl))

    def add_alias(self, name: str, target: str, ttl: int = 300) -> None:
        """
        Add a CNAME record.

        @param name: the owner.
        @param target: the name that it stands for.
        @param ttl: seconds.
        """
        self._add(name, dns.Record_CNAME(target.rstrip(".").encode("ascii"), ttl=ttl))

    def remove(self, name: str) -> None:
        """
        Forget every record of a name.

        @param name: the owner.
        """
        self._records.pop(folded(name), None)

    def address_of(self, name: str) -> str | None:
        """
        Look up the first address of a name.

        @param name: the owner.
        @return: the address, or L{None}.
        """
        found = (address_text(record) for record in self._records.get(folded(name), ()))
        return next((address for address in found if address is not None), None)

    def fail(self, name: str, rcode: int = dns.ESERVER) -> None:
        """
        Answer every query for a name with an error.

        @param name: the name; names below it are not affected.
        @param rcode: the response code, such as L{dns.ESERVER} or L{dns.EREFUSED}.
        """
        self._failures[folded(name)] = rcode

    def silence(self, name: str) -> None:
        """
        Answer no query for a name.

        @param name: the name; names below it are not affected.
        """
        self._silent.add(folded(name))

    def recover(self, name: str) -> None:
        """
        End what L{fail} or L{silence} began.

        @param name: the name.
        """
        self._failures.pop(folded(name), None)
        self._silent.discard(folded(name))

    def reply(self, name: str, record_type: int) -> Reply | None:
        """
        Answer a question.

        @param name: the name asked for, in any case.
        @param record_type: the type asked for, such as L{dns.SRV}.
        @return: the answer, or L{None} for silence.
        """
        owner = folded(name)
        if owner in self._silent:
            return None
        if owner in self._failures:
            return Reply(self._failures[owner])
        answers = self._answers(owner, record_type)
        if answers:
            return Reply(dns.OK, answers)
        return Reply(dns.OK if self._exists(owner) else dns.ENAME, authority=(self._start_of_authority(owner),))

    def _add(self, name: str, record: Record) -> None:
        self._records.setdefault(folded(name), []).append(record)

    def _answers(self, owner: str, record_type: int) -> tuple[dns.RRHeader, ...]:
        answers: list[dns.RRHeader] = []
        for _ in range(_MAXIMUM_ALIASES):
            records = self._records.get(owner, [])
            found = [record for record in records if record_type in (record.TYPE, dns.ALL_RECORDS)]
            aliases = [record for record in records if record.TYPE == dns.CNAME and not found]
            answers.extend(_header(owner, record) for record in found + aliases)
            if not aliases:
                break
            owner = folded(aliases[0].name.name.decode("ascii"))
        return tuple(answers)

    def _exists(self, owner: str) -> bool:
        # RFC 8020: a name with names below it exists, even without records of its own.
        return any(known == owner or known.endswith("." + owner) for known in self._records)

    def _start_of_authority(self, owner: str) -> dns.RRHeader:
        # RFC 2308, 3 and 5: the negative TTL is the lesser of the SOA's own TTL and its MINIMUM field.
        record = dns.Record_SOA(
            mname=b"ns.invalid",
            rname=b"hostmaster.invalid",
            serial=1,
            refresh=3600,
            retry=600,
            expire=86400,
            minimum=self.negative_ttl,
            ttl=self.negative_ttl,
        )
        return _header(owner.rpartition(".")[2], record)


def _header(owner: str, record: Record) -> dns.RRHeader:
    return dns.RRHeader(owner.encode("ascii"), record.TYPE, ttl=record.ttl, payload=record, auth=True)
