"""
TLS sessions: what lets a server that proved itself go on without doing so
again.

A resumed handshake shows no certificate, and OpenSSL asks no check.  So a
session is remembered together with what the check found, and is offered, and
accepted, only where a full check would find the same today: to the same name
and port, under the same roots and policy (each trust generation has sessions
of its own), while every certificate of the verified chain is valid.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import attrs
from cryptography.x509 import load_der_x509_certificate

from .._discovery.cache import BoundedMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from OpenSSL import SSL

    from .transparency import TransparencyOutcome

FIXED_BYTES = 2 * 1024
"""
What a session holds beside its ticket and the certificates that were sent.
"""

CERTIFICATE_BYTES = 5 * 1024
CERTIFICATE_FACTOR = 2
"""
What a certificate of a verified chain takes when it is parsed: so many bytes,
and a multiple of its DER.
"""

UNVERIFIED_FACTOR = 40
"""
The same for a certificate that a server sent besides: nobody's signature
says that it is not made of the smallest parts that take the most memory.
"""


SCT_BYTES = 512
"""
What an L{SCTOutcome} takes at most; 320 were measured.
"""


@attrs.frozen
class Proof:
    """
    What a full check found, and for how long it stands.

    @ivar leaf: SHA-256 of the server's certificate.
    @ivar valid_from: when the last of the verified chain became valid, or when
        it was checked, in seconds since the epoch.
    @ivar valid_until: when the first of them expires, or the session's
        lifetime is over.
    @ivar weight: the bytes that the certificates take which the server sent,
        and which its sessions hold; with what is known of its transparency.
    @ivar transparency: of the server's certificate.
    """

    leaf: bytes
    valid_from: float
    valid_until: float
    weight: int
    transparency: TransparencyOutcome | None = None

    @classmethod
    def of(
        cls,
        verified: Sequence[bytes],
        sent: Sequence[bytes],
        now: float,
        lifetime: float,
        transparency: TransparencyOutcome | None = None,
    ) -> Proof:
        """
        Make the proof of a chain that was just verified.

        @param verified: DER, from the server's certificate to the root.
        @param sent: DER of what the server sent.
        @param now: in seconds since the epoch.
        @param lifetime: in seconds, at most.
        @raise ValueError: when a certificate of the verified chain cannot be
            read; C{InvalidVersion} when its version is none.
        """
        judged = 0 if transparency is None else len(transparency.scts)
        chain = [load_der_x509_certificate(encoded) for encoded in verified]
        return cls(
            sha256(verified[0]).digest(),
            # A clock that is set back makes no session last longer.
            max(now, *(certificate.not_valid_before_utc.timestamp() for certificate in chain)),
            min(now + lifetime, *(certificate.not_valid_after_utc.timestamp() for certificate in chain)),
            sum(_weight(encoded, verified) for encoded in sent) + judged * SCT_BYTES,
            transparency,
        )

    def stands(self, now: float) -> bool:
        """
        Tell whether a full check would find the same now.
        """
        return self.valid_from <= now < self.valid_until

    def is_of(self, certificate: bytes) -> bool:
        """
        Tell whether a certificate, DER, is the one that was checked.
        """
        return sha256(certificate).digest() == self.leaf


def _weight(encoded: bytes, verified: Sequence[bytes]) -> int:
    if encoded in verified:
        return CERTIFICATE_BYTES + CERTIFICATE_FACTOR * len(encoded)
    return UNVERIFIED_FACTOR * len(encoded)


@attrs.frozen(eq=False)
class RememberedSession:
    """
    A session, and why it may be trusted.

    @ivar weight: the bytes that it holds.
    """

    session: SSL.Session
    proof: Proof
    weight: int

    @classmethod
    def of(
        cls, session: SSL.Session, proof: Proof, received: int, resumed: RememberedSession | None
    ) -> RememberedSession:
        """
        Weigh a session.

        @param received: how many bytes came from the server until it was
            complete: no ticket is longer, and OpenSSL does not tell how long
            one is.
        @param resumed: the session from which it went on, whose ticket it may
            have kept.
        """
        weight = FIXED_BYTES + proof.weight + received
        return cls(session, proof, weight if resumed is None else max(weight, resumed.weight))


FREED_AT_A_TIME = 20
"""
Sessions of replaced roots that are freed when a session is asked for; one
takes some 30 microseconds.
"""


class SessionCache:
    """
    The sessions of one trust generation, one for a name and port.
    """

    def __init__(self, max_sessions: int, max_bytes: int) -> None:
        """
        @param max_sessions: 0 remembers none.
        """
        self._sessions: BoundedMap[RememberedSession] = BoundedMap(max_bytes)
        self._max_sessions = max_sessions
        # What is only to be freed.
        self._former: list[BoundedMap[RememberedSession]] = []

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def weight(self) -> int:
        """
        The bytes that they hold, all together.
        """
        return self._sessions.weight

    def take(self, key: str, now: float) -> RememberedSession | None:
        """
        Take a session out: a ticket is used once (RFC 8446, appendix C.4).

        @param key: the name and port that it was made with.
        @return: L{None} where there is none that still stands.
        """
        self._free_some()
        found = self._sessions.get(key)
        self._sessions.forget(key)
        return found if found is not None and found.proof.stands(now) else None

    def keep(self, key: str, remembered: RememberedSession) -> int:
        """
        Remember a session instead of any other of its name and port.

        @return: how many others had to leave.
        """
        if remembered.weight > self._sessions.limit:
            # Room would be made for it in vain.
            self._sessions.forget(key)
            return 0
        evicted = self._sessions.put(key, remembered, remembered.weight)
        while len(self._sessions) > self._max_sessions:
            self._sessions.drop_oldest()
            evicted += 1
        return evicted

    def succeed(self, other: SessionCache) -> None:
        """
        Take every session from another cache, to be freed and not to be used.
        That is done little by little, as this cache is used: to free thousands
        at once would take longer than a reactor may be blocked.
        """
        self._former += [*other._former, other._sessions]
        other._former, other._sessions = [], BoundedMap(other._sessions.limit)

    def _free_some(self) -> None:
        for _ in range(FREED_AT_A_TIME):
            while self._former and not self._former[-1]:
                del self._former[-1]
            if not self._former:
                return
            self._former[-1].drop_oldest()
