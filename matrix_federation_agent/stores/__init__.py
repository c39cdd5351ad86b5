"""
Where discovery keeps what it learned, beyond one process or one run.

An agent remembers by itself while it runs.  A store lets the next process
know it as well (L{SQLiteStore}: a file), or all processes on many machines
(L{RedisStore}: one memory for all).  No request ever fails because of a
store, and no lookup waits longer for it than
C{DiscoveryPolicy.store_timeout}::

    agent = MatrixFederationAgent.new(reactor, store=SQLiteStore(reactor, "/var/lib/matrix/discovery.sqlite"))
    agent = MatrixFederationAgent.new(reactor, store=RedisStore.new(reactor, "redis.internal"))

A store is closed together with its agent, so that each agent needs its own.

Whoever can write to a store chooses where requests go: protect it as you
protect your configuration.
"""

from ._interface import IDiscoveryStore
from ._redis import RedisStore
from ._sqlite import SQLiteStore

__all__ = ["IDiscoveryStore", "RedisStore", "SQLiteStore"]
