"""
A user of a homeserver, and what one does.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from hashlib import sha1
from typing import Any
from urllib.parse import quote

import attrs
import treq
from twisted.web.client import HTTPConnectionPool
from twisted.web.http_headers import Headers

from ._synapse import Synapse

_TIMEOUT = 60.0
_SYNC_MILLISECONDS = "3000"
_SYNCS = 10


class Unexpected(Exception):
    """
    A homeserver answered something else than it should.
    """


def quoted(text: str) -> str:
    """
    Write an id as one segment of a path.
    """
    return quote(text, safe="")


@attrs.frozen
class Account:
    """
    A user who is logged in.

    @ivar user_id: such as C{@alice:hs1.test}.
    @ivar device_id: the one session.
    """

    user_id: str
    device_id: str
    _base: str
    _token: str
    _pool: HTTPConnectionPool

    @classmethod
    async def register(cls, server: Synapse, pool: HTTPConnectionPool, name: str) -> Account:
        """
        Make a user by the secret of the server.

        @raise Unexpected: when the server does not agree.
        """
        nobody = cls("", "", server.client_url, "", pool)
        path = "/_synapse/admin/v1/register"
        nonce = (await nobody.call("GET", path))["nonce"]
        signed = f"{nonce}\0{name}\0{name}\0notadmin".encode("ascii")
        mac = hmac.new(server.registration_secret.encode("ascii"), signed, sha1).hexdigest()
        wanted = {"nonce": nonce, "username": name, "password": name, "admin": False, "mac": mac}
        made = await nobody.call("POST", path, wanted)
        return cls(made["user_id"], made["device_id"], server.client_url, made["access_token"], pool)

    async def call(
        self, method: str, path: str, content: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """
        Ask the homeserver for something.

        @raise Unexpected: when it says no.
        """
        data = None if content is None else json.dumps(content).encode("utf-8")
        answer: dict[str, Any] = json.loads(await self._send(method, path, data, "application/json", query or {}))
        return answer

    async def client(
        self, method: str, path: str, content: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """
        Ask for something below C{/_matrix/client/v3}.

        @raise Unexpected: when it says no.
        """
        return await self.call(method, f"/_matrix/client/v3{path}", content, query)

    async def upload(self, data: bytes) -> str:
        """
        Upload media.

        @return: its C{mxc://} URI.
        @raise Unexpected: when the server does not take it.
        """
        answer = await self._send("POST", "/_matrix/media/v3/upload", data, "application/octet-stream", {})
        uri: str = json.loads(answer)["content_uri"]
        return uri

    async def download(self, uri: str) -> bytes:
        """
        Download media, wherever they are.

        @param uri: beginning with C{mxc://}.
        @raise Unexpected: when they are not found.
        """
        return await self._send("GET", f"/_matrix/client/v1/media/download/{uri.removeprefix('mxc://')}", None, "", {})

    async def say(self, room_id: str, text: str, transaction: str) -> str:
        """
        Send a message.

        @return: the id of the event.
        @raise Unexpected: when the server does not take it.
        """
        path = f"/rooms/{quoted(room_id)}/send/m.room.message/{transaction}"
        sent = await self.client("PUT", path, {"msgtype": "m.text", "body": text})
        event_id: str = sent["event_id"]
        return event_id

    async def sees(self, room_id: str, event_id: str) -> dict[str, Any]:
        """
        Wait for an event to come by C{/sync}.

        @return: the event.
        @raise Unexpected: when it does not come.
        """
        since: dict[str, str] = {}
        for _ in range(_SYNCS):
            news = await self.client("GET", "/sync", query={"timeout": _SYNC_MILLISECONDS, **since})
            since = {"since": news["next_batch"]}
            room = news.get("rooms", {}).get("join", {}).get(room_id, {})
            for event in room.get("timeline", {}).get("events", ()):
                if event["event_id"] == event_id:
                    return dict(event)
        raise Unexpected(f"{self.user_id} does not see {event_id}")

    async def invited(self, room_id: str) -> bool:
        """
        Wait for an invitation to come by C{/sync}.
        """
        since: dict[str, str] = {}
        for _ in range(_SYNCS):
            news = await self.client("GET", "/sync", query={"timeout": _SYNC_MILLISECONDS, **since})
            since = {"since": news["next_batch"]}
            if room_id in news.get("rooms", {}).get("invite", {}):
                return True
        return False

    async def _send(self, method: str, path: str, data: bytes | None, kind: str, query: Mapping[str, str]) -> bytes:
        headers = Headers({"Authorization": [f"Bearer {self._token}"]} if self._token else {})
        if data is not None:
            headers.setRawHeaders("Content-Type", [kind])
        response = await treq.request(
            method,
            self._base + path,
            params=dict(query),
            headers=headers,
            data=data,
            timeout=_TIMEOUT,
            pool=self._pool,
        )
        content = bytes(await treq.content(response))
        if response.code != 200:
            raise Unexpected(f"{method} {path}: {response.code} {content[:500]!r}")
        return content
