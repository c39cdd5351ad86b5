"""
What the users of two homeservers do with each other, and what must come of it.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import attrs
from twisted.internet.task import deferLater
from twisted.web.client import HTTPConnectionPool

from ._account import Account, quoted
from ._synapse import Synapse

MEDIA_BYTES = 3 * 1024 * 1024
_LOOKS = 20


@attrs.frozen
class Shown:
    """
    One thing that was tried.

    @ivar what: in words.
    @ivar holds: whether it was as it must be.
    """

    what: str
    holds: bool


@attrs.define
class Scenario:
    """
    Alice, who lives on the first server, and Bob, who lives on the second.
    """

    alice: Account
    bob: Account
    first: Synapse
    reactor: Any
    room_id: str = ""

    @classmethod
    async def begin(cls, reactor: Any, first: Synapse, second: Synapse, pool: HTTPConnectionPool) -> Scenario:
        """
        Register both.
        """
        return cls(
            await Account.register(first, pool, "alice"), await Account.register(second, pool, "bob"), first, reactor
        )

    async def steps(self) -> AsyncIterator[Shown]:
        """
        Do everything, one after the other.

        @raise Unexpected: when a homeserver says no.
        """
        yield Shown(f"registered: {self.alice.user_id}, {self.bob.user_id}", holds=True)
        yield await self._join()
        yield await self._message(self.alice, self.bob)
        yield await self._message(self.bob, self.alice)
        yield await self._profile()
        yield await self._media(self.alice, self.bob)
        yield await self._media(self.bob, self.alice)
        yield await self._keys()
        yield await self._public_rooms()
        yield await self._declined()

    async def _public_rooms(self) -> Shown:
        found: list[str] = []
        # A server counts the members of its rooms in its own time, and lists none that it has not counted.
        for _ in range(_LOOKS):
            listed = await self.bob.client("GET", "/publicRooms", query={"server": self.first.name})
            found = [room["room_id"] for room in listed["chunk"]]
            if found:
                break
            await deferLater(self.reactor, 1)
        return Shown(f"the public rooms of the first, seen from the second: {found}", found == [self.room_id])

    async def _join(self) -> Shown:
        wanted = {"preset": "public_chat", "visibility": "public", "room_alias_name": "town", "name": "The town"}
        self.room_id = (await self.alice.client("POST", "/createRoom", wanted))["room_id"]
        alias = quoted(f"#town:{self.first.name}")
        joined = await self.bob.client("POST", f"/join/{alias}", {})
        path = f"/rooms/{quoted(self.room_id)}/joined_members"
        members = sorted((await self.alice.client("GET", path))["joined"])
        both = sorted([self.alice.user_id, self.bob.user_id])
        return Shown(
            f"joined by an alias of the other: {members}", joined["room_id"] == self.room_id and members == both
        )

    async def _message(self, sender: Account, reader: Account) -> Shown:
        text = f"Good morning from {sender.user_id} {secrets.token_hex(4)}"
        event_id = await sender.say(self.room_id, text, secrets.token_hex(8))
        event = await reader.sees(self.room_id, event_id)
        same = event["content"]["body"] == text and event["sender"] == sender.user_id
        return Shown(f"a message of {sender.user_id} in the /sync of {reader.user_id}", same)

    async def _profile(self) -> Shown:
        await self.bob.client(
            "PUT", f"/profile/{quoted(self.bob.user_id)}/displayname", {"displayname": "Bob \N{HONEYBEE}"}
        )
        profile = await self.alice.client("GET", f"/profile/{quoted(self.bob.user_id)}")
        return Shown(f"a profile of the other: {profile}", profile.get("displayname") == "Bob \N{HONEYBEE}")

    async def _media(self, sender: Account, reader: Account) -> Shown:
        data = secrets.token_bytes(MEDIA_BYTES)
        uri = await sender.upload(data)
        read = await reader.download(uri)
        return Shown(f"{len(read)} bytes of media of {sender.user_id}, read by {reader.user_id}", read == data)

    async def _keys(self) -> Shown:
        alice = self.alice
        curve, edwards = secrets.token_hex(16), secrets.token_hex(16)
        device: dict[str, Any] = {
            "user_id": alice.user_id,
            "device_id": alice.device_id,
            "algorithms": ["m.megolm.v1.aes-sha2"],
            "keys": {f"curve25519:{alice.device_id}": curve, f"ed25519:{alice.device_id}": edwards},
            "signatures": {},
        }
        await alice.client("POST", "/keys/upload", {"device_keys": device})
        answer = await self.bob.client("POST", "/keys/query", {"device_keys": {alice.user_id: []}})
        found = answer["device_keys"].get(alice.user_id, {}).get(alice.device_id, {}).get("keys")
        return Shown(f"keys of a device of the other: {sorted(found or ())}", found == device["keys"])

    async def _declined(self) -> Shown:
        wanted = {"preset": "private_chat", "invite": [self.bob.user_id]}
        room_id = (await self.alice.client("POST", "/createRoom", wanted))["room_id"]
        invited = await self.bob.invited(room_id)
        await self.bob.client("POST", f"/rooms/{quoted(room_id)}/leave", {})
        state = await self._membership(room_id)
        return Shown(f"invited ({invited}), and declined ({state})", invited and state == "leave")

    async def _membership(self, room_id: str) -> str:
        path = f"/rooms/{quoted(room_id)}/state/m.room.member/{quoted(self.bob.user_id)}"
        membership: str = (await self.alice.client("GET", path))["membership"]
        return membership
