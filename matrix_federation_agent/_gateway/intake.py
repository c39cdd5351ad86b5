"""
The body of a client's request on its way in: kept while it is small, and else
handed on no faster than it is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH

from .._http.decoding import ChunkedDecoder, LengthDecoder
from .._http.head import HeadLimits, MalformedMessage
from .._http.sending import WholeBody
from .._http.watch import Deadline
from .refusals import malformed, too_large
from .upload import ClientBody
from .writing import CONTINUE

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from .._http.decoding import BodyDecoder
    from .._http.framing import Delimiter
    from .._policies import GatewayPolicy
    from .answers import Answer

GATHERED = 64 * 1024
"""
Bytes of a body that is taken in before the request is sent on: the agent can
repeat it, and no connection to a server waits for a slow client.
"""


class Sender(Protocol):
    """
    Who sends the request on.
    """

    def send(self, body: WholeBody | ClientBody) -> None:
        """
        Send it, with this body.
        """

    def refuse(self, answer: Answer) -> None:
        """
        Answer the client in the middle of it.
        """


class Bringer(Protocol):
    """
    The connection that the body comes from.
    """

    def write(self, data: bytes) -> None:
        """
        Send the client something.
        """

    def adjust_reading(self) -> None:
        """
        Read, or not, as it is now.
        """

    def hasten(self) -> None:
        """
        Look in time for what has to happen next.
        """


class Intake:
    """
    Takes a body in.

    @ivar received: bytes of it so far.
    @ivar moved: when the last of them came.
    @ivar waits: whether the client waits for leave to send it.
    """

    __slots__ = (
        "_begun",
        "_clock",
        "_decoder",
        "_end",
        "_gathered",
        "_held_since",
        "_held_time",
        "_policy",
        "_sender",
        "_source",
        "_unwanted",
        "_upload",
        "moved",
        "received",
        "waits",
    )

    def __init__(
        self, sender: Sender, source: Bringer, clock: IReactorTime, policy: GatewayPolicy, end: int | Delimiter
    ) -> None:
        """
        @param end: of the body, which is not empty.
        """
        self.received = 0
        self.waits = False
        self.moved = self._begun = clock.seconds()
        self._sender = sender
        self._source = source
        self._clock = clock
        self._policy = policy
        self._end = end
        self._decoder: BodyDecoder | None = _decoder(end, policy)
        self._gathered: list[bytes] | None = None
        self._upload: ClientBody | None = None
        self._held_since: float | None = None
        self._held_time = 0.0
        self._unwanted = False

    @property
    def length(self) -> int:
        """
        As it was told, in bytes; 0 where it was not.
        """
        return self._end if isinstance(self._end, int) else 0

    @property
    def receiving(self) -> bool:
        """
        Whether the body has not ended.
        """
        return self._decoder is not None

    @property
    def held(self) -> bool:
        """
        Whether nothing of it is to be read for now.
        """
        return self._held_since is not None and self._decoder is not None

    def pass_over(self, data: bytes) -> bytes:
        """
        Read what there is of a body that nobody wants.

        @return: what follows the request.
        """
        self._unwanted = True
        decoder = self._decoder
        assert decoder is not None  # noqa: S101 (for types: nothing was read of it)
        try:
            decoder.decode(data)
        except MalformedMessage:
            return b""
        return self._conclude(decoder) if decoder.finished else b""

    def _conclude(self, decoder: BodyDecoder) -> bytes:
        """
        Note that the body has ended.

        @return: what follows it.
        """
        self._decoder = None
        return decoder.excess

    def receive(self, data: bytes) -> bytes:
        """
        Take a part of the body.

        @return: what follows the request.
        """
        decoder = self._decoder
        assert decoder is not None  # noqa: S101 (for types: the body has not ended)
        try:
            content = decoder.decode(data)
        except MalformedMessage as error:
            self._sender.refuse(malformed(str(error)))
            return b""
        self.moved = self._clock.seconds()
        self.received += len(content)
        if self.received > self._policy.max_body_bytes:
            self._sender.refuse(too_large(self._policy.max_body_bytes))
            return b""
        rest = self._conclude(decoder) if decoder.finished else b""
        if not self._unwanted:
            self._hand_on(content)
        return rest

    def _hand_on(self, content: bytes) -> None:
        """
        Let the agent have a part of the body; or keep it, while the body is
        small.
        """
        upload, gathered = self._upload, self._gathered
        if upload is not None:
            upload.receive(content)
            if self._decoder is None:
                upload.complete()
        elif self._decoder is None:
            self._gathered = None
            self._sender.send(WholeBody(content if gathered is None else b"".join((*gathered, content))))
        elif gathered is not None:
            gathered.append(content)
        elif isinstance(self._end, int) and self._end <= GATHERED and not self.waits:
            self._gathered = [content]
        else:
            self._stream(content)

    def _stream(self, content: bytes) -> None:
        """
        Have the body sent on while it arrives.
        """
        length = self._end if isinstance(self._end, int) else UNKNOWN_LENGTH
        self._upload = upload = ClientBody(self, length)
        upload.receive(content)
        if self.waits:
            # Who waits for leave is not late; that is given once the remote is reached.
            self.hold()
        self._sender.send(upload)

    def body_wanted(self) -> None:
        """
        Let the client know, if it waits for that.
        """
        if self.waits and self._decoder is not None and not self.received:
            self._source.write(CONTINUE)

    def body_unwanted(self) -> None:
        """
        Leave out the rest of the body: the server has answered before it, or
        is gone.
        """
        self._upload = None
        self._unwanted = True
        self.release()

    def hold(self) -> None:
        """
        Read nothing more of the body.
        """
        if self._held_since is None:
            self._held_since = self._clock.seconds()
            self._source.adjust_reading()
            self._source.hasten()

    def release(self) -> None:
        """
        Read on.
        """
        if self._held_since is not None:
            self._held_time += self._clock.seconds() - self._held_since
            self._held_since = None
            self._source.adjust_reading()
            self._source.hasten()

    def end(self) -> None:
        """
        Have no more to do with the body.
        """
        self._gathered = None
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.drop()

    def fail(self) -> None:
        """
        Let whoever takes the body know that there is no more.
        """
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.fail(Failure(ConnectionLost()))

    def deadline(self) -> Deadline | None:
        """
        Tell until when the client has to have sent it; nothing, where that is
        not up to the client.
        """
        if self._decoder is None or self._unwanted or self._held_since is not None:
            return None
        seconds = self._policy.body_grace + self.received / self._policy.minimum_rate
        return Deadline(
            self._begun + self._held_time + seconds, seconds, "the body of the request did not arrive within"
        )


def _decoder(end: int | Delimiter, policy: GatewayPolicy) -> BodyDecoder:
    if isinstance(end, int):
        return LengthDecoder(end)
    return ChunkedDecoder(HeadLimits(policy.max_head_bytes, policy.max_headers, 0))
