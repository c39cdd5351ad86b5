"""
Servers that are no Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.protocol import Factory, Protocol

reactor: Any = global_reactor


@contextmanager
def listening(greet: Callable[[Any], object]) -> Iterator[int]:
    """
    Listen on a port of 127.0.0.1.

    @param greet: given the transport of each connection.
    """

    class Greeting(Protocol):
        def connectionMade(self) -> None:
            greet(self.transport)

    factory = Factory.forProtocol(Greeting)
    factory.noisy = False
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    try:
        yield port.getHost().port
    finally:
        port.stopListening()
