"""
HTTP messages as they went over a wire, read without the code that is tested.
"""

from __future__ import annotations

import json
from typing import Any

import attrs

_BODILESS = ("204", "304")


@attrs.frozen
class Message:
    """
    A request or a response.

    @ivar start: its first line.
    @ivar fields: names and values of the header lines, as they were spelt.
    @ivar body: without the coding in chunks.
    @ivar whole: whether the end of the body was reached.
    """

    start: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool

    @property
    def target(self) -> bytes:
        """
        The target of a request.
        """
        return self.start.split(b" ")[1]

    @property
    def code(self) -> int:
        """
        The status of a response.
        """
        return int(self.start.split(b" ")[1])

    @property
    def json(self) -> Any:
        """
        The body as JSON.
        """
        return json.loads(self.body)

    @property
    def names(self) -> list[bytes]:
        """
        The names of the headers, in lower case and in alphabetical order.
        """
        return sorted(name.lower() for name, _ in self.fields)

    def values(self, name: bytes) -> list[bytes]:
        """
        List the values of a header, in order.
        """
        return [value for spelt, value in self.fields if spelt.lower() == name.lower()]


def read_messages(data: bytes, *, bodiless: bool = False, closed: bool = False) -> list[Message]:
    """
    Read the messages that one side has sent so far; the last may be incomplete.

    @param bodiless: whether they are responses to C{HEAD}.
    @param closed: whether the sender has ended the connection.
    """
    messages = []
    rest: bytes | None = data
    while rest and b"\r\n\r\n" in rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        start, *lines = head.split(b"\r\n")
        fields = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        message = Message(start, fields, b"", whole=False)
        body, rest = (b"", rest) if bodiless else _body(message, rest, closed=closed)
        messages.append(attrs.evolve(message, body=body, whole=rest is not None))
    return messages


def _body(message: Message, rest: bytes, *, closed: bool) -> tuple[bytes, bytes | None]:
    """
    Split a body off.

    @return: as much as is there, and what follows, or L{None} where the body is not at its end.
    """
    is_response = message.start.startswith(b"HTTP/")
    if is_response and (str(message.code) in _BODILESS or message.code < 200):
        return b"", rest
    if message.values(b"transfer-encoding"):
        return _chunks(rest)
    if message.values(b"content-length"):
        length = int(message.values(b"content-length")[0])
        return rest[:length], rest[length:] if len(rest) >= length else None
    if is_response:
        return rest, b"" if closed else None
    return b"", rest


def _chunks(rest: bytes) -> tuple[bytes, bytes | None]:
    pieces: list[bytes] = []
    position = 0
    while (end := rest.find(b"\r\n", position)) >= 0:
        length = int(rest[position:end].partition(b";")[0], 16)
        if not length:
            # The empty line after the last chunk, and trailers before it.
            last = rest.find(b"\r\n\r\n", end)
            return b"".join(pieces), rest[last + 4 :] if last >= 0 else None
        position = end + 2 + length + 2
        pieces.append(rest[end + 2 : position - 2])
        if rest[position - 2 : position] != b"\r\n":
            break
    return b"".join(pieces), None
