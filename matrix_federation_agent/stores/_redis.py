"""
One memory for many processes: Redis.

The client is C{txredisapi} (the extra C{redis}): the maintained one for
Twisted, and what Synapse uses.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from .._deadlines import shielded
from .._reactor import IReactor
from ._interface import IDiscoveryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

PREFIX = "matrix_federation_agent:1"

_CONNECT_TIMEOUT = 5.0
_SCANNED_AT_ONCE = 500
_LONGEST = 65_536


@implementer(IDiscoveryStore)
class RedisStore:
    """
    Keeps texts in Redis, where they expire by themselves.

    While Redis is away every call fails, at once or within seconds; a few
    seconds after it is back it is used again.
    """

    def __init__(
        self,
        reactor: IReactor,
        endpoint: IStreamClientEndpoint,
        *,
        database: int = 0,
        username: str | None = None,
        password: str | None = None,
        prefix: str = PREFIX,
    ) -> None:
        """
        Connect in the background.

        @param reactor: the global one, because txredisapi knows no other.
        @param endpoint: leads to Redis: by TLS or a UNIX socket, for instance.
        @param prefix: of every key, so that a database may be shared.
        @raise ImportError: without the extra C{redis}.
        """
        from ._redis_connection import RedisConnection  # noqa: PLC0415 (it installs a reactor)

        self._endpoint = endpoint
        self._prefix = prefix
        self._connection = RedisConnection(reactor, endpoint, _greeting(database, username, password, prefix))
        self._closing: Deferred[None] | None = None

    @classmethod
    def new(
        cls,
        reactor: IReactor,
        host: str = "localhost",
        port: int = 6379,
        *,
        database: int = 0,
        username: str | None = None,
        password: str | None = None,
        prefix: str = PREFIX,
    ) -> RedisStore:
        """
        Make a store that connects by TCP.

        @raise ImportError: without the extra C{redis}.
        """
        endpoint = HostnameEndpoint(reactor, host, port, timeout=_CONNECT_TIMEOUT)
        return cls(reactor, endpoint, database=database, username=username, password=password, prefix=prefix)

    def __repr__(self) -> str:
        return f"RedisStore({self._endpoint!r}, prefix={self._prefix!r})"

    def load(self, kind: str, name: str) -> Deferred[str | None]:
        """
        Find a text.
        """
        return Deferred.fromCoroutine(self._load(kind, name))

    async def _load(self, kind: str, name: str) -> str | None:
        found = await self._connection.do("GETRANGE", self._key(kind, name), 0, _LONGEST)
        owner, _, text = found.partition("\n") if isinstance(found, str) else ("", "", "")
        # The protocol pairs replies with commands by their order alone; a text
        # that is about something else must never decide about this.
        return text if owner == _owner(kind, name) else None

    def save(self, kind: str, name: str, text: str, keep: float) -> Deferred[None]:
        """
        Keep a text.
        """
        return Deferred.fromCoroutine(self._save(kind, name, text, keep))

    async def _save(self, kind: str, name: str, text: str, keep: float) -> None:
        owned = f"{_owner(kind, name)}\n{text}"
        await self._connection.do("SET", self._key(kind, name), owned, "EX", max(1, int(keep)))

    def forget(self, kind: str, name: str | None) -> Deferred[None]:
        """
        Drop one text, or all of a kind.
        """
        if name is None:
            return Deferred.fromCoroutine(self._forget_all(kind))
        return Deferred.fromCoroutine(self._forget(self._key(kind, name)))

    async def _forget(self, *keys: str) -> None:
        await self._connection.do("DEL", *keys)

    async def _forget_all(self, kind: str) -> None:
        pattern = re.sub(r"([\[\]*?\\^])", r"\\\1", self._key(kind, "")) + "*"
        cursor = "0"
        while True:
            cursor, keys = await self._connection.do("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED_AT_ONCE)
            if keys:
                await self._forget(*keys)
            if str(cursor) == "0":
                return

    def close(self) -> Deferred[None]:
        """
        Wait a moment for what is under way, and disconnect.
        """
        if self._closing is None:
            self._closing = Deferred.fromCoroutine(self._connection.close())
        return shielded(self._closing)

    def _key(self, kind: str, name: str) -> str:
        return f"{self._prefix}:{_owner(kind, name)}"


def _owner(kind: str, name: str) -> str:
    return f"{kind}:{name}"


def _greeting(
    database: int, username: str | None, password: str | None, prefix: str
) -> Callable[[Any], Coroutine[Deferred[Any], Any, None]]:
    """
    Make what comes first on a connection.
    """

    async def greet(protocol: Any) -> None:
        if password is not None:
            user = () if username is None else (username,)
            await protocol.execute_command("AUTH", *user, password)
        if database:
            await protocol.execute_command("SELECT", database)
        # Whether we may use it at all shows in a command that we need.
        await protocol.execute_command("GETRANGE", prefix, 0, 0)

    return greet
