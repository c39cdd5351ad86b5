"""
DNS messages of one question: what is sent, and which messages are its answer.
"""

from __future__ import annotations

import struct
from typing import IO, Any

import attrs
from twisted.names import dns

_HEADER = struct.Struct("!H2B4H")
"""
Identifier, flags, and the numbers of questions, answers, authorities and
additional records (RFC 1035, section 4.1.1).
"""

_QUERY = 0x00
_RECURSION_DESIRED = 0x01
_QR_AND_OPCODE = 0xF8
_RESPONSE = 0x80

_KIND = struct.Struct("!HH")

_LABEL = 63
_NAME = 255
"""
Octets of a label, and of a name as it is sent (RFC 1035, section 2.3.4).
"""

MAXIMUM_RECORDS = 128
"""
Records of one section that are read; 64 KiB of DNS, as they come by TCP, hold
4,000, which would take the reactor 100 milliseconds.
"""


@attrs.frozen
class Question:
    """
    What is asked, as it is sent.

    @ivar name: the labels.
    @ivar kind: type and class.
    """

    name: bytes
    kind: bytes

    @classmethod
    def of(cls, name: bytes, record_type: int, record_class: int) -> Question:
        """
        Make a question.

        @param name: with or without its final dot.
        @raise DomainError: when DNS cannot have such a name.
        """
        labels = name.removesuffix(b".").split(b".") if name not in {b"", b"."} else []
        sent = b"".join(bytes([len(label)]) + label for label in labels if 0 < len(label) <= _LABEL) + b"\0"
        if len(sent) != sum(1 + len(label) for label in labels) + 1 or len(sent) > _NAME:
            raise dns.DomainError("DNS cannot have such a name")
        return cls(sent, _KIND.pack(record_type, record_class))

    def sent_as(self, identifier: int) -> bytes:
        """
        Write the query.

        @param identifier: 16 bits that the answer must repeat.
        """
        return _HEADER.pack(identifier, _RECURSION_DESIRED, 0, 1, 0, 0, 0) + self.name + self.kind

    def answered_by(self, message: bytes, identifier: int) -> bool:
        """
        Tell whether a message is a response to this question and no other
        (RFC 5452, section 9.1); who sent it is not looked at.  Takes the same
        little time for whatever message.
        """
        if len(message) < _HEADER.size:
            return False
        number, flags, _, questions, _, _, _ = _HEADER.unpack_from(message)
        end = _HEADER.size + len(self.name)
        # The octets of lengths are no letters.
        name, kind = message[_HEADER.size : end], message[end : end + _KIND.size]
        return (number, flags & _QR_AND_OPCODE, questions, kind) == (
            identifier,
            _RESPONSE,
            1,
            self.kind,
        ) and name.lower() == self.name.lower()


class _Message(dns.Message):
    """
    A message of which a bounded number of records is read.
    """

    _cut = False

    def parseRecords(self, list: list[dns.RRHeader], num: int, strio: IO[bytes]) -> None:
        """
        Read a section; none after one that was cut.

        @raise EOFError: when records are missing.
        """
        if self._cut:
            return
        few = min(num, MAXIMUM_RECORDS)
        super().parseRecords(list, few, strio)
        if len(list) < few:
            raise EOFError
        self._cut = few < num


def read_message(message: bytes) -> dns.Message | None:
    """
    Read a message.

    @return: L{None} when it is none.
    """
    read: Any = _Message()
    try:
        read.fromStr(message)
    except Exception:  # noqa: BLE001 (strangers choose what is in it, and each kind of record raises as it likes)
        return None
    return read  # type: ignore[no-any-return]
