"""
Tests of an agent with a discovery store, from the request to the file or to
Redis and back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import capturedLogs

from matrix_federation_agent import DiscoveryPolicy, MatrixFederationAgent
from matrix_federation_agent.stores import SQLiteStore
from matrix_federation_agent.testing import LoopbackFederation, WellKnownHost
from tests.stores.kit import StoreCase, a_database, until
from tests.stores.other_process import status
from tests.stores.redis_server import RedisCase, RedisServer

reactor: Any = global_reactor


PATIENT = DiscoveryPolicy(store_timeout=5.0)
"""
For a machine that is busy with other tests.
"""


class Servers:
    """
    A federation of servers that have all there is to learn: a delegation,
    SRV records and addresses.

    @ivar known: the hosts of the C{.well-known} documents, by server name.
    """

    def __init__(self) -> None:
        self.federation = LoopbackFederation.new(reactor)
        self.known: dict[str, WellKnownHost] = {}

    def add(self, number: int) -> list[str]:
        """
        Add some servers.

        @return: their names.
        """
        names = [f"s{len(self.known) + one}.example" for one in range(number)]
        for name in names:
            fed = f"fed.{name}"
            self.known[name] = self.federation.serve_well_known(name, {"m.server": fed})
            address = self.known[name].address
            self.federation.serve_homeserver(name, address, 8000, certificate_names=(fed,))
            self.federation.name_server.add_service(f"_matrix-fed._tcp.{fed}", f"host.{name}", 8000)
            self.federation.name_server.add_address(f"host.{name}", address)
        return names

    def asked(self) -> tuple[int, int]:
        """
        Count the fetches of C{.well-known} and the DNS queries since the last
        time.
        """
        fetches = sum(len(host.requests) for host in self.known.values())
        queries = len(self.federation.name_server.queries)
        for host in self.known.values():
            host.requests.clear()
        self.federation.name_server.queries.clear()
        return fetches, queries


async def statuses(agent: MatrixFederationAgent, names: list[str]) -> list[int]:
    """
    Send a request to each server, all at the same time.
    """
    return await gatherResults([Deferred.fromCoroutine(status(agent, name)) for name in names], consumeErrors=True)


class SQLiteTests(StoreCase):
    """
    An agent with an L{SQLiteStore}.
    """

    def setUp(self) -> None:
        """
        Start a federation.
        """
        super().setUp()
        self.servers = Servers()
        self.addCleanup(self.servers.federation.stop)

    def agent(self, **settings: Any) -> MatrixFederationAgent:
        """
        Make an agent on the file.
        """
        return self.servers.federation.agent(store=SQLiteStore(reactor, self.path), **settings)

    async def test_a_restarted_agent_asks_nobody(self) -> None:
        """
        What one agent learned the next one on the same file knows.
        """
        names = self.servers.add(3)
        first = self.agent()
        await statuses(first, names)
        self.servers.asked()
        await first.close()
        second = self.agent(discovery=PATIENT)
        self.assertEqual(await statuses(second, names), [200] * 3)
        self.assertEqual(self.servers.asked(), (0, 0))
        counted = second.counters.snapshot()
        self.assertEqual(
            {
                name: counted[name]
                for name in counted
                if not name.endswith("shared") and not name.startswith(("tls.", "pool."))
            },
            {"well_known.loaded": 3, "srv.loaded": 3, "a.loaded": 3, "aaaa.loaded": 3},
        )

    async def test_two_agents_share_what_they_learn(self) -> None:
        """
        So do two agents at the same time.
        """
        names = self.servers.add(2)
        first, second = self.agent(), self.agent(discovery=PATIENT)
        await statuses(first, names)
        self.servers.asked()
        await until(lambda: self.is_loaded(f"host.{names[1]}"))
        self.assertEqual(await statuses(second, names), [200] * 2)
        self.assertEqual(self.servers.asked(), (0, 0))

    async def is_loaded(self, name: str) -> None:
        """
        See that the addresses of a name were saved.
        """
        found = [await self.store().load(kind, name) for kind in ("a", "aaaa")]
        self.assertNotIn(None, found)

    async def test_what_was_forgotten_stays_forgotten(self) -> None:
        """
        A wrong delegation can be dropped, also from the file.
        """
        (name,) = self.servers.add(1)
        first = self.agent()
        await statuses(first, [name])
        self.servers.asked()
        first.forget(name)
        await statuses(first, [name])
        self.assertEqual(self.servers.asked()[0], 1)

    async def test_what_was_forgotten_while_the_file_was_locked(self) -> None:
        """
        This agent does not take from the file what it was told to forget.
        """
        (name,) = self.servers.add(1)
        first = self.agent()
        await statuses(first, [name])
        await until(lambda: self.is_loaded(f"host.{name}"))
        self.servers.asked()
        holder = self.hold()
        first.forget(name)
        holder.communicate()
        await statuses(first, [name])
        self.assertEqual(self.servers.asked()[0], 1)

    async def assert_harmless(self, damage: Callable[[], object]) -> MatrixFederationAgent:
        """
        No request fails while something happens to the file.

        @return: the agent.
        """
        agent = self.agent()
        names = self.servers.add(5)
        results = await statuses(agent, names[:2])
        damage()
        results += await statuses(agent, names)
        names += self.servers.add(3)
        results += await statuses(agent, names)
        self.assertEqual(results, [200] * 15)
        return agent

    async def test_truncated(self) -> None:
        """
        A file that is cut off while the agent runs costs no request.
        """
        await self.assert_harmless(lambda: os.truncate(self.path, 5000))

    async def test_overwritten(self) -> None:
        """
        Neither does one that is overwritten with garbage.
        """

        def damage() -> None:
            for ending in ("", "-wal"):
                (self.directory / f"{self.path.name}{ending}").write_bytes(os.urandom(9000))

        with capturedLogs():
            await self.assert_harmless(damage)

    async def test_replaced(self) -> None:
        """
        Nor one in whose place there is garbage; that is set aside, with one warning, and its successor is used.
        """

        def damage() -> None:
            for one in list(self.directory.iterdir()):
                one.unlink()
            self.path.write_bytes(os.urandom(9000))

        with capturedLogs() as logs:
            await (await self.assert_harmless(damage)).close()
        self.assertEqual(self.names(), {"discovery.sqlite", "discovery.sqlite.set-aside-1"})
        self.assertEqual(len([one for one in logs if "aside" in one]), 1)

    async def test_foreign(self) -> None:
        """
        A file of another program is not used.
        """
        a_database(self.path, "CREATE TABLE fruit (name TEXT)")
        with capturedLogs():
            await self.assert_harmless(int)
        self.assertEqual(self.names(), {"discovery.sqlite", "discovery.sqlite.set-aside-1"})

    async def test_deleted(self) -> None:
        """
        A file that is deleted is made again.
        """
        await (await self.assert_harmless(self.path.unlink)).close()
        self.assertEqual(self.names(), {"discovery.sqlite"})

    async def test_locked(self) -> None:
        """
        While another process writes, nothing is saved, and the failures are counted.
        """
        agent = await self.assert_harmless(self.hold)
        self.assertTrue(agent.counters.snapshot()["store.failures"] > 0)

    async def test_locked_for_everybody(self) -> None:
        """
        Nor does it matter that nothing can be read.
        """
        a_database(self.path, "PRAGMA journal_mode = DELETE")
        self.hold("EXCLUSIVE")
        agent = await self.assert_harmless(int)
        self.assertTrue(agent.counters.snapshot()["store.failures"] > 0)

    async def test_a_directory(self) -> None:
        """
        Nor that there is no file at all.
        """
        self.path.mkdir()
        agent = await self.assert_harmless(int)
        self.assertTrue(agent.counters.snapshot()["store.failures"] > 0)

    async def requests_elsewhere(self, largest: int = 0, *, powers: bool = True) -> dict[str, Any]:
        """
        Have another process send requests, and let it fill the store first.
        """
        names = [f"s{number}.example" for number in range(5)]
        await self.other_process("request", self.path, 0, ",".join(names[:2]))
        if not powers:
            self.read_only()
        counted: dict[str, Any] = await self.other_process(
            "request", self.path, largest, ",".join(names), powers=powers
        )
        self.assertEqual(counted.pop("statuses"), [200] * 5)
        return counted

    async def test_read_only(self) -> None:
        """
        A file and a directory that nobody may write to cost no request.
        """
        self.assertTrue((await self.requests_elsewhere(powers=False))["store.failures"] > 0)

    async def test_a_full_disk(self) -> None:
        """
        What is known is read, and what is new is not kept.
        """
        counted = await self.requests_elsewhere(largest=4096)
        self.assertTrue(counted["store.failures"] > 0)

    async def test_damaged_entries(self) -> None:
        """
        Texts that are no entries, or entries of a far future, are none.
        """
        (name,) = self.servers.add(1)
        far = {"v": 1, "to": "evil.example", "summary": "", "fetched": 9e9, "next_try": 9e9, "expires": 9e9}
        await self.store().save("well_known", name, json.dumps({**far, "failures": 0, "doubted": False}), 600)
        await self.store().save("srv", f"_matrix-fed._tcp.fed.{name}", "[]", 600)
        self.assertEqual(await statuses(self.agent(), [name]), [200])


class RedisTests(RedisCase):
    """
    Agents with a L{RedisStore <matrix_federation_agent.stores.RedisStore>}.
    """

    def setUp(self) -> None:
        """
        Start a federation.
        """
        super().setUp()
        self.servers = Servers()
        self.addCleanup(self.servers.federation.stop)

    def agent(self, server: RedisServer, **settings: Any) -> MatrixFederationAgent:
        """
        Make an agent with a connection of its own.
        """
        return self.servers.federation.agent(store=self.redis_store(server.port), **settings)

    async def test_what_one_learns_the_other_knows(self) -> None:
        """
        Two agents that run at the same time ask the world once.
        """
        server, names = await self.redis(), self.servers.add(3)
        first, second = self.agent(server, discovery=PATIENT), self.agent(server, discovery=PATIENT)
        await statuses(first, names)
        self.servers.asked()
        self.assertEqual(await statuses(second, names), [200] * 3)
        self.assertEqual(self.servers.asked(), (0, 0))
        counted = second.counters.snapshot()
        self.assertEqual([counted[f"{kind}.loaded"] for kind in ("well_known", "srv", "a", "aaaa")], [3] * 4)

    async def test_killed_and_started_again(self) -> None:
        """
        No request fails while Redis is gone, and it is used again when it is back.
        """
        server = await self.redis()
        agent = self.agent(server)
        results = await statuses(agent, self.servers.add(2))
        await server.kill()
        results += await statuses(agent, self.servers.add(3))
        await server.start()
        await until(lambda: self.share(agent, server))
        self.assertEqual(results, [200] * 5)
        self.assertTrue(agent.counters.snapshot()["store.failures"] > 0)

    async def share(self, agent: MatrixFederationAgent, server: RedisServer) -> None:
        """
        See that another agent gets to know what an agent learns now.
        """
        names = self.servers.add(1)
        await statuses(agent, names)
        self.servers.asked()
        await statuses(self.agent(server), names)
        self.assertEqual(self.servers.asked(), (0, 0))

    async def test_killed_in_the_middle(self) -> None:
        """
        Nor do those that are under way when it goes.
        """
        server = await self.redis()
        agent = self.agent(server)
        await statuses(agent, self.servers.add(1))
        under_way = statuses(agent, self.servers.add(10))
        running = Deferred.fromCoroutine(under_way)
        await server.kill()
        self.assertEqual(await running, [200] * 10)

    async def test_slow(self) -> None:
        """
        A Redis that does not answer is waited for briefly, and used again when it does.
        """
        server = await self.redis()
        agent = self.agent(server)
        await statuses(agent, self.servers.add(1))
        server.freeze()
        self.addCleanup(server.thaw)
        started = reactor.seconds()
        results = await statuses(agent, self.servers.add(5))
        took = reactor.seconds() - started
        server.thaw()
        self.assertEqual((results, took < 4), ([200] * 5, True))
        await until(lambda: self.share(agent, server))

    async def test_nobody_there(self) -> None:
        """
        An agent whose Redis never was there does everything itself.
        """
        server = await self.redis()
        await server.kill()
        self.assertEqual(await statuses(self.agent(server), self.servers.add(3)), [200] * 3)

    async def test_a_password_that_is_missing(self) -> None:
        """
        The operator is told once, and no request fails.
        """
        server = await self.redis("--requirepass", "secret")
        with capturedLogs() as logs:
            results = await statuses(self.agent(server), self.servers.add(3))
        told = [one for one in logs if "does not answer" in (one.get("log_format") or "")]
        self.assertEqual((results, len(told)), ([200] * 3, 1))
        self.assertIn("NOAUTH", str(told[0]["error"]))
