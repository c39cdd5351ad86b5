"""
Connections that know who judges the certificates on them.

OpenSSL asks one callback for all connections of a context: a callback of each
connection's own would be a cycle that keeps whatever it calls, until the
garbage collector comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from OpenSSL import SSL

if TYPE_CHECKING:
    from OpenSSL.crypto import X509


class Judge(Protocol):
    """
    Judges the certificates on one connection.
    """

    def check(self, connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
        """
        Judge one certificate of the chain.
        """


class CheckedConnection(SSL.Connection):
    """
    A connection whose certificates somebody judges.

    @ivar judge: who does; it does not hold the connection.
    """

    def __init__(self, context: SSL.Context, judge: Judge) -> None:
        super().__init__(context, None)
        self.judge = judge


def check(connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
    """
    Have one certificate of a chain judged, as the callback of a context;
    where there is no judge, it is refused.
    """
    return isinstance(connection, CheckedConnection) and connection.judge.check(
        connection, certificate, code, depth, ok
    )


def unchecked(*found: object) -> bool:
    """
    Leave OpenSSL's verdict as it is, as the callback of a connection that is
    not verified; without one, OpenSSL would go on to ask the context's.
    """
    return bool(found[-1])
