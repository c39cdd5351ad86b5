"""
Tests of C{matrix_federation_agent.stores._redis}, with a real Redis.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred, DeferredList, gatherResults
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import capturedLogs
from zope.interface.verify import verifyObject

from matrix_federation_agent.stores import IDiscoveryStore, RedisStore, _redis_connection
from tests.stores.kit import ROOT, pause, until
from tests.stores.listeners import listening
from tests.stores.redis_server import RedisCase

reactor: Any = global_reactor


class RedisStoreTests(RedisCase):
    """
    L{RedisStore} while Redis is well.
    """

    async def pair(self, **settings: Any) -> tuple[RedisStore, RedisStore]:
        """
        Make two stores with one Redis, each with a connection of its own.
        """
        server = await self.redis()
        return self.redis_store(server.port, **settings), self.redis_store(server.port)

    async def test_it_is_a_discovery_store(self) -> None:
        """
        It keeps to the interface.
        """
        self.assertTrue(verifyObject(IDiscoveryStore, self.redis_store(1)))

    async def test_what_was_saved_is_loaded_elsewhere(self) -> None:
        """
        Two processes share one memory, and a text arrives as it was.
        """
        first, second = await self.pair()
        await first.save("srv", "a.example", '{"v": "ä\\n"}\r\n', 600)
        self.assertEqual(await second.load("srv", "a.example"), '{"v": "ä\\n"}\r\n')

    async def test_what_is_not_there_is_none(self) -> None:
        """
        Kind and name both count.
        """
        first, second = await self.pair()
        await first.save("a", "a.example", "text", 600)
        self.assertEqual([await second.load("aaaa", "a.example"), await second.load("a", "b.example")], [None, None])

    async def test_a_number_is_a_text(self) -> None:
        """
        Nothing is taken for something else.
        """
        first, second = await self.pair()
        await first.save("a", "a.example", "7", 600)
        self.assertEqual(await second.load("a", "a.example"), "7")

    async def test_texts_expire(self) -> None:
        """
        Redis drops them by itself.
        """
        first, second = await self.pair()
        await first.save("a", "a.example", "text", 1)
        before = await second.load("a", "a.example")
        await pause(1.1)
        self.assertEqual((before, await second.load("a", "a.example")), ("text", None))

    async def test_forgetting_one(self) -> None:
        """
        The others stay.
        """
        first, second = await self.pair()
        await gatherResults([first.save("a", f"{letter}.example", letter, 600) for letter in "ab"])
        await first.forget("a", "a.example")
        self.assertEqual([await second.load("a", f"{letter}.example") for letter in "ab"], [None, "b"])

    async def test_forgetting_a_kind(self) -> None:
        """
        Thousands are dropped, and other kinds stay.
        """
        first, second = await self.pair()
        await gatherResults([first.save("a", f"{number}.example", "text", 600) for number in range(2000)])
        await first.save("aaaa", "a.example", "text", 600)
        await first.forget("a", None)
        found = await gatherResults([second.load("a", f"{number}.example") for number in range(2000)])
        self.assertEqual((set(found), await second.load("aaaa", "a.example")), ({None}, "text"))

    async def test_prefixes_keep_apart(self) -> None:
        """
        Stores with different prefixes share nothing, whatever characters there are in them.
        """
        first, second = await self.pair(prefix="*")
        await gatherResults([first.save("a", "a.example", "1", 600), second.save("a", "a.example", "2", 600)])
        await first.forget("a", None)
        self.assertEqual([await first.load("a", "a.example"), await second.load("a", "a.example")], [None, "2"])

    async def test_databases_keep_apart(self) -> None:
        """
        The number of the database is heeded.
        """
        first, second = await self.pair(database=3)
        await first.save("a", "a.example", "1", 600)
        self.assertEqual([await first.load("a", "a.example"), await second.load("a", "a.example")], ["1", None])

    async def test_a_text_about_something_else_is_not_believed(self) -> None:
        """
        A reply that came to the wrong question decides nothing.
        """
        first, second = await self.pair()
        await first._connection.do("SET", first._key("a", "a.example"), "aaaa:a.example\ntext")
        await first._connection.do("SET", first._key("a", "b.example"), "text")
        self.assertEqual([await second.load("a", f"{letter}.example") for letter in "ab"], [None, None])

    async def test_a_huge_text_is_cut(self) -> None:
        """
        What somebody else put there does not fill the memory.
        """
        first, second = await self.pair()
        await first.save("a", "a.example", "x" * 1_000_000, 600)
        self.assertTrue(len(await second.load("a", "a.example") or "") < 70_000)

    async def test_cancelled_waits_do_not_shift_replies(self) -> None:
        """
        Every caller gets the reply to its own question, whoever else has gone.
        """
        first, second = await self.pair()
        await gatherResults([first.save("a", f"{number}.example", str(number), 600) for number in range(100)])
        await second.load("a", "a.example")
        loads = [second.load("a", f"{number}.example") for number in range(100)]
        for one in loads[::2]:
            one.cancel()
        results = await DeferredList(loads, consumeErrors=True)
        self.assertEqual([value for good, value in results if good], [str(number) for number in range(1, 100, 2)])

    async def test_a_unix_socket(self) -> None:
        """
        Any endpoint will do.
        """
        server = await self.redis("--unixsocket", "redis.sock")
        store = RedisStore(reactor, UNIXClientEndpoint(reactor, server.path("redis.sock")))
        self.addCleanup(store.close)
        await store.save("a", "a.example", "text", 600)
        self.assertEqual(await store.load("a", "a.example"), "text")


class PasswordTests(RedisCase):
    """
    L{RedisStore} with a Redis that wants a password.
    """

    async def outcome(self, **settings: str) -> str | None:
        """
        Load something; tell what comes, or what the error says.
        """
        server = await self.redis("--requirepass", "secret")
        administrator = self.redis_store(server.port, password="secret")
        await administrator._connection.do("ACL", "SETUSER", "alice", "on", ">wonder", "~matrix*", "+@all", "-ping")
        store = self.redis_store(server.port, **settings)
        try:
            await store.save("a", "a.example", "text", 600)
            return await store.load("a", "a.example")
        except Exception as error:  # noqa: BLE001
            return str(error).split()[0]

    async def test_the_right_one(self) -> None:
        """
        With the password it works.
        """
        self.assertEqual(await self.outcome(password="secret"), "text")

    async def test_a_user(self) -> None:
        """
        With a user of few rights too.
        """
        self.assertEqual(await self.outcome(username="alice", password="wonder"), "text")

    async def test_none(self) -> None:
        """
        Without one, whoever asks is told what Redis says.
        """
        self.assertEqual(await self.outcome(), "NOAUTH")

    async def test_the_wrong_one(self) -> None:
        """
        And so with a wrong one.
        """
        self.assertEqual(await self.outcome(password="wrong"), "WRONGPASS")

    async def test_it_is_not_shown(self) -> None:
        """
        The password is not in what is logged.
        """
        self.assertNotIn("secret", repr(self.redis_store(1, password="secret")))

    async def test_it_works_once_the_password_is_right(self) -> None:
        """
        A refusal is not for ever.
        """
        server = await self.redis("--requirepass", "other")
        store = self.redis_store(server.port, password="secret")
        administrator = self.redis_store(server.port, password="other")
        await self.assertFailure(store.load("a", "a.example"), Exception)
        await administrator._connection.do("CONFIG", "SET", "requirepass", "secret")
        await until(lambda: store.save("a", "a.example", "text", 600))
        self.assertEqual(await store.load("a", "a.example"), "text")


class AwayTests(RedisCase):
    """
    L{RedisStore} while Redis is not well.
    """

    async def test_nobody_there(self) -> None:
        """
        Operations fail, and closing leaves nothing behind.
        """
        with listening(lambda _: None) as port:
            pass
        store = self.redis_store(port)
        calls: list[Deferred[Any]] = [
            store.load("a", "a.example"),
            store.save("a", "a", "text", 600),
            store.forget("a", None),
        ]
        results = await DeferredList(calls, consumeErrors=True)
        self.assertEqual([failure.check(ConnectError) for _, failure in results], [ConnectError] * 3)

    async def test_killed_and_started_again(self) -> None:
        """
        What is under way fails; a little later it works again.
        """
        server = await self.redis()
        store = self.redis_store(server.port)
        await store.save("a", "a.example", "old", 600)
        await server.kill()
        await self.assertFailure(store.load("a", "a.example"), Exception)
        await server.start()
        await until(lambda: store.save("a", "a.example", "new", 600))
        self.assertEqual(await store.load("a", "a.example"), "new")

    async def test_nothing_is_queued_while_it_is_away(self) -> None:
        """
        An outage does not fill the memory with what waits for its end.
        """
        server = await self.redis()
        store = self.redis_store(server.port)
        await store.load("a", "a.example")
        await server.kill()
        calls: list[Deferred[Any]] = [store.save("a", f"{number}.example", "text", 600) for number in range(1000)]
        results = await DeferredList(calls, consumeErrors=True)
        self.assertEqual({good for good, _ in results}, {False})
        self.assertEqual(store._connection._sent, set())

    async def test_frozen(self) -> None:
        """
        A Redis that answers late answers the right question, also when nobody waits any more.
        """
        server = await self.redis()
        store = self.redis_store(server.port)
        await store.save("a", "a.example", "text", 600)
        server.freeze()
        given_up = store.load("a", "b.example")
        await pause(0.2)
        given_up.cancel()
        waiting = store.load("a", "a.example")
        server.thaw()
        self.assertEqual(await waiting, "text")
        await self.assertFailure(given_up, CancelledError)

    async def test_frozen_for_long(self) -> None:
        """
        A connection that owes a reply, which nobody waits for any more, is given up for a new one.
        """
        self.patch(_redis_connection, "_REPLY_TIMEOUT", 0.3)
        server = await self.redis()
        store = self.redis_store(server.port)
        await store.save("a", "a.example", "text", 600)
        server.freeze()
        self.addCleanup(server.thaw)
        store.load("a", "a.example").addErrback(lambda _: None).cancel()
        owed = store.load("a", "a.example")
        await self.assertFailure(owed, Exception)
        server.thaw()
        await until(lambda: store.save("a", "a.example", "text", 600))

    async def test_garbage(self) -> None:
        """
        Something that is not Redis fails operations, with a warning instead of a traceback.
        """
        with listening(lambda connection: connection.write(b"\xff\xfe\r\n$x\r\n")) as port, capturedLogs() as logs:
            store = self.redis_store(port)
            await self.assertFailure(store.load("a", "a.example"), Exception)
            await store.close()
        self.assertIn("this is not Redis: {error}", [one.get("log_format") for one in logs])

    async def test_another_protocol(self) -> None:
        """
        A web server never gives a reply; who asks is not kept for ever.
        """
        self.patch(_redis_connection, "_REPLY_TIMEOUT", 0.2)
        with listening(lambda connection: connection.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
            store = self.redis_store(port)
            await self.assertFailure(store.load("a", "a.example"), Exception)
            await store.close()

    async def test_hanging_up(self) -> None:
        """
        So with one that accepts and hangs up.
        """
        with listening(lambda connection: connection.loseConnection()) as port:
            store = self.redis_store(port)
            await self.assertFailure(store.load("a", "a.example"), Exception)
            await store.close()


class CloseTests(RedisCase):
    """
    L{RedisStore.close}.
    """

    async def test_what_was_sent_is_finished(self) -> None:
        """
        Closing loses no save that is under way.
        """
        server = await self.redis()
        store, other = self.redis_store(server.port), self.redis_store(server.port)
        await store.load("a", "a.example")
        saved = [store.save("a", f"{number}.example", "text", 600) for number in range(1000)]
        await store.close()
        self.assertEqual(await gatherResults(saved), [None] * 1000)
        self.assertEqual(await other.load("a", "999.example"), "text")

    async def test_with_redis_away(self) -> None:
        """
        Neither an attempt nor a timer is left, before, between and after attempts.
        """
        with listening(lambda _: None) as port:
            pass
        for moment in (0, 0.05, 0.3):
            store = self.redis_store(port)
            await pause(moment)
            await store.close()
        self.assertEqual([one for one in reactor.getDelayedCalls() if "ClientService" in repr(one)], [])

    async def test_with_redis_frozen(self) -> None:
        """
        It waits a second for replies and not longer, however much is on the way.
        """
        server = await self.redis()
        store = self.redis_store(server.port)
        await store.load("a", "a.example")
        server.freeze()
        self.addCleanup(server.thaw)
        saved = [store.save("a", f"{number}.example", "x" * 100_000, 600) for number in range(100)]
        started = reactor.seconds()
        await store.close()
        self.assertTrue(reactor.seconds() - started < 4)
        self.assertEqual({good for good, _ in await DeferredList(saved, consumeErrors=True)}, {False})

    async def test_who_waits_for_a_connection_is_told(self) -> None:
        """
        That is a failure, not a cancellation: the caller goes on without the store.
        """
        with listening(lambda _: None) as port:
            pass
        store = self.redis_store(port)
        await self.assertFailure(store.load("a", "a.example"), ConnectError)
        waiting = store.load("a", "a.example")
        await store.close()
        await self.assertFailure(waiting, ConnectError)

    async def test_a_closed_store_does_nothing(self) -> None:
        """
        It does not connect again.
        """
        store = self.redis_store((await self.redis()).port)
        await store.close()
        await store.close()
        await self.assertFailure(store.load("a", "a.example"), ConnectError)


class ImportTests(RedisCase):
    """
    The extra.
    """

    async def test_the_package_does_without(self) -> None:
        """
        Neither txredisapi nor a reactor is imported before a store is made.
        """
        script = (
            "import sys, matrix_federation_agent.stores\n"
            "print([one for one in ('txredisapi', 'twisted.internet.reactor') if one in sys.modules])"
        )
        output, _, _ = await getProcessOutputAndValue(
            sys.executable, ["-c", script], {"PYTHONPATH": str(ROOT)}, str(ROOT), reactor
        )
        self.assertEqual(output, b"[]\n")
