"""
How TLS handshakes end: counted, and told where nothing was verified.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from .._counters import EXEMPT, TLS, Counters
from .._tls.exemptions import ExemptionLog
from ..errors import CertificateRejected, HandshakeFailed, TimedOut
from .handshake import TrustReplaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._tls.verification import VerifiedConnectionCreator


@attrs.frozen(eq=False)
class Outcomes:
    """
    Notes how handshakes end.

    @ivar exemptions: is told of connections that are exempt.
    """

    _counters: Counters = attrs.field(factory=Counters)
    exemptions: ExemptionLog = attrs.field(factory=ExemptionLog)

    @contextmanager
    def noted(self, creator: VerifiedConnectionCreator, address: object) -> Iterator[None]:
        """
        Note the end of a handshake that is awaited inside.  One that is
        cancelled, or made anew because the roots were replaced, has none.

        @param address: the address that was dialled, or the target that a
            proxy was asked for.
        """
        try:
            yield
        except TrustReplaced:
            raise
        except CertificateRejected:
            self._count("rejected")
            raise
        except (HandshakeFailed, TimedOut):
            self._count("failed")
            raise
        if creator.exemption is None:
            self._count("resumed" if creator.resumed else "verified")
        else:
            self._count("exempt")
            self._counters.add(f"{EXEMPT}.{creator.exemption}")
            self.exemptions.note(creator.identity.effective, creator.exemption, address)

    def _count(self, event: str) -> None:
        self._counters.add(f"{TLS}.{event}")
