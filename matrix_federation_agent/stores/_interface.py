"""
What a discovery store does.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface


class IDiscoveryStore(Interface):
    """
    Keeps texts by kind and name.

    Kinds are C{"well_known"}, C{"srv"}, C{"a"} and C{"aaaa"}; names are DNS
    names in lower case; texts are of a few hundred bytes.  A store may lose
    whatever it likes; it may fail; it must not block the reactor.
    """

    def load(kind: str, name: str) -> Deferred[str | None]:  # noqa: N805 (an interface)
        """
        Find a text.

        @return: fires with L{None} where there is none.
        """

    def save(kind: str, name: str, text: str, keep: float) -> Deferred[None]:  # noqa: N805
        """
        Keep a text in place of any older one.

        @param keep: for how many seconds it is of use.
        """

    def forget(kind: str, name: str | None) -> Deferred[None]:  # noqa: N805
        """
        Drop one text, or all of a kind.
        """

    def close() -> Deferred[None]:
        """
        Finish what is under way and let go of everything.
        """
