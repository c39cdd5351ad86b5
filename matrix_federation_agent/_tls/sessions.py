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
from cryptography.hazmat.primitives.serialization import Encoding

from .._discovery.cache import BoundedMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.x509 import Certificate
    from OpenSSL import SSL

FIXED_BYTES = 4 * 1024
"""
What a session holds beside the peer's certificates, tickets included.
"""

CERTIFICATE_FACTOR = 4
"""
What a parsed certificate takes, as a multiple of its DER.
"""


@attrs.frozen
class Proof:
    """
    What a full check found, and for how long it stands.

    @ivar leaf: SHA-256 of the server's certificate.
    @ivar valid_from: when the last of the verified chain became valid, in
        seconds since the epoch.
    @ivar valid_until: when the first of them expires, or the session's
        lifetime is over.
    @ivar weight: the bytes that a session with these certificates holds.
    """

    leaf: bytes
    valid_from: float
    valid_until: float
    weight: int

    @classmethod
    def of(cls, chain: Sequence[Certificate], now: float, lifetime: float) -> Proof:
        """
        Make the proof of a chain that was just verified.

        @param chain: from the server's certificate to the root.
        @param now: in seconds since the epoch.
        @param lifetime: in seconds, at most.
        """
        encoded = [certificate.public_bytes(Encoding.DER) for certificate in chain]
        return cls(
            sha256(encoded[0]).digest(),
            max(certificate.not_valid_before_utc.timestamp() for certificate in chain),
            min(now + lifetime, *(certificate.not_valid_after_utc.timestamp() for certificate in chain)),
            FIXED_BYTES + CERTIFICATE_FACTOR * sum(map(len, encoded)),
        )

    def stands(self, now: float) -> bool:
        """
        Tell whether a full check would find the same now.
        """
        return self.valid_from <= now < self.valid_until

    def is_of(self, certificate: Certificate) -> bool:
        """
        Tell whether a certificate is the one that was checked.
        """
        return sha256(certificate.public_bytes(Encoding.DER)).digest() == self.leaf


@attrs.frozen(eq=False)
class RememberedSession:
    """
    A session, and why it may be trusted.
    """

    session: SSL.Session
    proof: Proof


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

    def __len__(self) -> int:
        return len(self._sessions)

    def take(self, key: str, now: float) -> RememberedSession | None:
        """
        Take a session out: a ticket is used once (RFC 8446, appendix C.4).

        @param key: the name and port that it was made with.
        @return: L{None} where there is none that still stands.
        """
        found = self._sessions.get(key)
        self._sessions.forget(key)
        return found if found is not None and found.proof.stands(now) else None

    def keep(self, key: str, remembered: RememberedSession) -> int:
        """
        Remember a session instead of any other of its name and port.

        @return: how many others had to leave.
        """
        evicted = self._sessions.put(key, remembered, remembered.proof.weight)
        while len(self._sessions) > self._max_sessions:
            self._sessions.drop_oldest()
            evicted += 1
        return evicted
