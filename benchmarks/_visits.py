"""
Visits to a gateway, drawn at random: whom it is asked for, how the client behaves, and what may come of it.
"""

from __future__ import annotations

from random import Random

import attrs

from ._raw_http import SECRET, Reply, written
from ._soaking import NAMES
from ._unruly import BROKEN, ENDLESS, KINDS, SOUND, SOUND_KINDS

LONGEST = 300_000
"""
Bytes of the longest body of a sound server.
"""

AT_ONCE, SLOWLY, LATE, LEAVES, DRIPS, HALF_HEAD, HALF_BODY = (
    "at once",
    "slowly",
    "late",
    "leaves",
    "drips",
    "half a head",
    "half a body",
)
MANNERS = (*(AT_ONCE,) * 6, SLOWLY, SLOWLY, LATE, LEAVES, LEAVES, DRIPS, HALF_HEAD, HALF_BODY)
"""
What clients do: read at once, slowly, or nothing for longer than the gateway waits; leave in the middle; send little by
little; and stop in the middle of a head, or of a body.
"""

NEVER_WHOLE = (
    "silent",
    "stalls",
    "cut-off",
    "cut-off-head",
    "hang-up",
    "reset",
    "reset-in-body",
    "garbage",
    "endless-head",
    "endless-hints",
    "dripping-head",
    *ENDLESS,
)
"""
Kinds that are no whole response.
"""

FAILURES = frozenset({502, 503, 504})
"""
What the gateway says of a remote, or of itself when it is full.
"""

Outcome = tuple[int, int] | None
"""
The status, and the bytes of the body, of a whole answer; L{None} when the connection ended before.
"""


@attrs.frozen
class Visit:
    """
    One connection, with one request or several.

    @ivar kind: what the server is to do.
    @ivar size: bytes of the body of the response.
    @ivar sent: bytes of the body of the request; L{None} is GET.
    @ivar secret: what the client believes the secret to be.
    @ivar requests: how many there are, one after the other.
    @ivar patience: the seconds after which the client leaves.
    """

    name: str
    kind: str
    size: int
    sent: int | None
    secret: str
    manner: str
    requests: int
    patience: float | None

    @classmethod
    def draw(cls, rng: Random) -> Visit:
        """
        Draw one.
        """
        kind = rng.choice((*SOUND_KINDS * 3, *KINDS))
        manner = LEAVES if kind in ENDLESS else rng.choice(MANNERS)
        group = rng.choice((*SOUND * 6, *BROKEN))
        return cls(
            name=f"n{rng.randrange(NAMES)}.{group}.example",
            kind=kind,
            size=rng.choice((0, 1, 100, 100, 10_000, LONGEST)),
            sent=400_000 if manner == HALF_BODY else rng.choice((None, None, 0, 200, 200, 800, 400_000)),
            secret=rng.choice((*(SECRET,) * 12, SECRET[:-1], "nobody told me")),
            manner=manner,
            requests=rng.choice((1, 1, 3)) if manner == AT_ONCE else 1,
            # Some at once, most of them while something is under way, some too late.
            patience=rng.uniform(0, 1) ** 4 * 2 if manner == LEAVES else None,
        )

    def written(self, *, last: bool) -> bytes:
        """
        Write the request, as far as the client sends it.

        @param last: whether the connection is to end with it.
        """
        body = None if self.sent is None else b"y" * self.sent
        method, path = "GET" if body is None else "PUT", f"/{self.kind}?size={self.size}"
        data = written(method, self.name, path, body, keep=not last, secret=self.secret)
        if self.manner == HALF_HEAD:
            return data[:100]
        return data[: -self.sent // 2] if self.manner == HALF_BODY and self.sent else data

    @property
    def sound(self) -> bool:
        """
        Whether it must succeed: nobody misbehaves, and the request can be sent again, if the server closes the
        connection at that moment.
        """
        sound = self.name.split(".")[1] in SOUND and self.kind in SOUND_KINDS and self.manner in (AT_ONCE, SLOWLY)
        return sound and self.secret == SECRET and self.sent in (None, 0)

    @property
    def length(self) -> int:
        """
        The bytes of the body of a sound server's response.
        """
        return 8 if self.kind == "slow" else self.size

    def objection(self, outcome: Outcome) -> str:
        """
        Tell what is wrong with an outcome; nothing, where it may be so.

        @param outcome: of a client that did not leave.
        """
        if outcome is None:
            # Of an answer that was begun, or to who had to be got rid of.
            possible = self.kind not in SOUND_KINDS or self.sent or self.manner in (LATE, HALF_HEAD, HALF_BODY)
            return "" if possible else "no whole answer"
        code, count = outcome
        if code not in self.statuses:
            return f"{code} to {'this' if self.secret == SECRET else 'a wrong'} secret"
        if code == 200 and self.kind in NEVER_WHOLE:
            return "a whole answer where there is none"
        if code == 200 and self.kind in SOUND_KINDS and count != self.length:
            return f"{count} bytes instead of {self.length}"
        return ""

    @property
    def statuses(self) -> frozenset[int]:
        """
        What may be answered. Who is one client too many is told so before anything is read.
        """
        if self.manner == HALF_HEAD:
            return frozenset({408, 503})
        if self.secret != SECRET:
            return frozenset({401, 408, 503}) if self.manner == DRIPS else frozenset({401, 503})
        # 413 is an answer of servers.
        return frozenset({200, 408, 413, *FAILURES})


def outcome_of(reply: Reply) -> Outcome:
    """
    Tell what an answer was.
    """
    return (reply.code, reply.count) if reply.complete else None
