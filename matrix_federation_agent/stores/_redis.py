"""
One memory for many processes: Redis.

The client is C{txredisapi} (the extra C{redis}): the maintained one for
Twisted, and what Synapse uses.  It takes the global reactor when it is
imported, so it is imported when a store is made.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from .._deadlines import shielded
from ._interface import IDiscoveryStore

_CONNECT_TIMEOUT = 5.0
_SCANNED_AT_ONCE = 500


@implementer(IDiscoveryStore)
@attrs.frozen(eq=False)
class RedisStore:
    """
    Keeps texts in Redis, where they expire by themselves.

    @ivar prefix: of every key, so that a database may be shared.
    """

    _connection: Any = attrs.field(repr=False)
    prefix: str = "matrix_federation_agent:1"

    @classmethod
    def new(
        cls,
        host: str = "localhost",
        port: int = 6379,
        *,
        database: int = 0,
        username: str | None = None,
        password: str | None = None,
        connections: int = 2,
        prefix: str = "matrix_federation_agent:1",
    ) -> RedisStore:
        """
        Connect in the background, now and whenever the connection is lost.

        @param connections: to Redis.
        @raise ImportError: without the extra C{redis}.
        """
        import txredisapi  # noqa: PLC0415 (it installs a reactor)

        connection = txredisapi.lazyConnectionPool(
            host,
            port,
            dbid=database,
            poolsize=connections,
            username=username,
            password=password,
            connectTimeout=_CONNECT_TIMEOUT,
            convertNumbers=False,
        )
        return cls(connection, prefix)

    def load(self, kind: str, name: str) -> Deferred[str | None]:
        """
        Find a text.
        """
        return Deferred.fromCoroutine(self._load(kind, name))

    async def _load(self, kind: str, name: str) -> str | None:
        found = await self._do("get", self._key(kind, name))
        owner, _, text = found.partition("\n") if isinstance(found, str) else ("", "", "")
        # The protocol pairs replies with requests by their order alone; a text
        # that is not of this name must never decide about it.
        return text if owner == name else None

    def save(self, kind: str, name: str, text: str, keep: float) -> Deferred[None]:
        """
        Keep a text.
        """
        return Deferred.fromCoroutine(self._save(kind, name, text, keep))

    async def _save(self, kind: str, name: str, text: str, keep: float) -> None:
        await self._do("set", self._key(kind, name), f"{name}\n{text}", expire=max(1, int(keep)))

    def forget(self, kind: str, name: str | None) -> Deferred[None]:
        """
        Drop one text, or all of a kind.
        """
        return Deferred.fromCoroutine(self._forget(kind, name))

    async def _forget(self, kind: str, name: str | None) -> None:
        if name is not None:
            await self._do("delete", self._key(kind, name))
            return
        cursor, first = 0, True
        while first or cursor:
            first = False
            found, keys = await self._do("scan", cursor, f"{self.prefix}:{kind}:*", _SCANNED_AT_ONCE)
            cursor = int(found)
            if keys:
                await self._do("delete", keys)

    def close(self) -> Deferred[None]:
        """
        Disconnect.
        """
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        await self._connection.disconnect()

    def _do(self, command: str, *arguments: object, **options: object) -> Deferred[Any]:
        """
        Send a command.  txredisapi must not see that somebody stopped waiting:
        it would hand the reply to whoever waits for the next one.
        """
        sent: Deferred[Any] = getattr(self._connection, command)(*arguments, **options)
        return shielded(sent)

    def _key(self, kind: str, name: str) -> str:
        return f"{self.prefix}:{kind}:{name}"
