"""
Tests of C{matrix_federation_agent._connect.pool}: its rules, with time and connections of the test's own.
"""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from matrix_federation_agent import ServerName
from matrix_federation_agent.errors import (
    Attempt,
    CertificateRejected,
    ConnectionFailed,
    FederationError,
    ResponseFailed,
    TimedOut,
)
from tests.case import TestCase
from tests.conformance.case import Unhurried

from .pooling import Pooling, ScriptedConnection, target


class GrowthTests(TestCase):
    """
    How many connections are made.
    """

    def test_a_request_alone(self) -> None:
        """
        It has one connection made, which is then kept.
        """
        pooling = Pooling()
        pooling.send("/a")
        seen = [pooling.status]
        connection = pooling.connect()
        seen.append(pooling.status)
        connection.answer()
        self.assertEqual((seen, pooling.status, pooling.told), (
            [["ex.com: 0 idle, 0 busy, 1 connecting, 1 waiting"], ["ex.com: 0 idle, 1 busy, 0 connecting, 0 waiting"]],
            ["ex.com: 1 idle, 0 busy, 0 connecting, 0 waiting"],
            ["/a"],
        ))  # fmt: skip

    def test_a_herd(self) -> None:
        """
        A thousand requests at once have two connections made at a time, and never more than fifty in all.
        """
        pooling, most = Pooling(), 0
        pooling.sends(1000)
        while pooling.dialer.under_way:
            most = max(most, len(pooling.dialer.under_way))
            pooling.connect()
        self.assertEqual((most, pooling.status), (2, ["ex.com: 0 idle, 50 busy, 0 connecting, 950 waiting"]))

    def test_no_more_than_wait(self) -> None:
        """
        No connection is made for which nobody waits.
        """
        pooling = Pooling()
        pooling.sends(3)
        connection = pooling.connect()
        connection.answer()
        connection.answer()
        connection.answer()
        self.assertEqual((len(pooling.dialer.made), pooling.told), (3, ["/0", "/1", "/2"]))

    def test_one_that_nobody_waits_for_any_more(self) -> None:
        """
        When a request was served otherwise, the connection that was made for it is kept.
        """
        pooling = Pooling()
        pooling.sends(2)
        connection = pooling.connect()
        connection.answer()
        connection.answer()
        pooling.connect()
        self.assertEqual(pooling.status, ["ex.com: 2 idle, 0 busy, 0 connecting, 0 waiting"])

    def test_a_cancelled_request(self) -> None:
        """
        The newest connection that is being made is given up with it, and the others wait on in their order.
        """
        pooling = Pooling()
        sending = pooling.sends(3)
        kept = pooling.dialer.under_way[:2]
        sending[0].cancel()
        self.assertEqual(pooling.dialer.under_way, kept)
        for connection in [pooling.connect() for _ in range(2)]:
            connection.answer()
        self.assertEqual(pooling.told, ["/0 CancelledError", "/1", "/2"])

    def test_all_are_cancelled(self) -> None:
        """
        Nothing remains, neither in the pool nor in the clock.
        """
        pooling = Pooling()
        for sending in pooling.sends(20):
            sending.cancel()
        self.assertEqual((pooling.dialer.under_way, pooling.status, pooling.pool.slots.taken), ([], [], 0))
        self.assertEqual(pooling.clock.getDelayedCalls(), [])

    def test_cancelled_while_the_server_is_sought(self) -> None:
        """
        So is a search for its targets, which has no slot yet.
        """
        pooling = Pooling()
        pooling.locating = []
        sending = pooling.send()
        self.assertEqual((len(pooling.locating), pooling.pool.slots.taken), (1, 0))
        sending.cancel()
        self.assertEqual((pooling.status, pooling.told), ([], ["/ CancelledError"]))

    def test_a_busy_connection_that_is_lost(self) -> None:
        """
        It is replaced for those who wait.
        """
        pooling = Pooling(open_connections=1)
        pooling.sends(2)
        pooling.connect().break_off()
        self.assertEqual((pooling.told, pooling.dialer.names), (["/0 ResponseFailed"], ["ex.com"]))
        pooling.connect().answer()
        self.assertEqual(pooling.told, ["/0 ResponseFailed", "/1"])


class OrderTests(TestCase):
    """
    Who gets a connection.
    """

    def test_in_order_of_arrival(self) -> None:
        """
        Requests to one destination are served as they came.
        """
        pooling = Pooling(open_connections=1)
        pooling.sends(5)
        connection = pooling.connect()
        for _ in range(5):
            connection.answer()
        self.assertEqual(pooling.told, ["/0", "/1", "/2", "/3", "/4"])

    def test_the_last_used_first(self) -> None:
        """
        Of several idle connections the one is taken that was used last.
        """
        pooling = Pooling()
        pooling.sends(2)
        first, second = pooling.connect(), pooling.connect()
        second.answer()
        first.answer()
        pooling.send("/next")
        self.assertEqual((first.path, second.path), ("/next", "/1"))

    def test_a_slow_destination(self) -> None:
        """
        A destination that never answers has its bound, and another one is served at once.
        """
        pooling = Pooling(total_open_connections=52)
        pooling.sends(200, "slow.example")
        while pooling.dialer.under_way:
            pooling.connect()
        pooling.send("/quick", "quick.example")
        pooling.connect().answer()
        self.assertEqual((pooling.told, pooling.pool.slots.taken), (["/quick"], 51))

    def test_cancelled_in_the_queue(self) -> None:
        """
        A request that was cancelled is passed over.
        """
        pooling = Pooling(open_connections=1)
        sending = pooling.sends(3)
        connection = pooling.connect()
        sending[1].cancel()
        for _ in range(2):
            connection.answer()
        self.assertEqual(pooling.told, ["/1 CancelledError", "/0", "/2"])


class TotalTests(TestCase):
    """
    The bound on all connections.
    """

    def full(self, **settings: Any) -> tuple[Pooling, list[ScriptedConnection]]:
        """
        Have as many busy connections as there may be.
        """
        pooling = Pooling(total_open_connections=2, **settings)
        pooling.send("/a", "a.example")
        pooling.send("/b", "b.example")
        return pooling, [pooling.connect(), pooling.connect()]

    def test_others_wait(self) -> None:
        """
        Nothing is dialled beyond it.
        """
        pooling, _ = self.full()
        pooling.send("/c", "c.example")
        self.assertEqual((pooling.dialer.names, pooling.pool.slots.taken), ([], 2))

    def test_an_idle_connection_makes_room(self) -> None:
        """
        The connection that has been idle for longest is closed for somebody else's.
        """
        pooling, (a, b) = self.full()
        b.answer()
        a.answer()
        pooling.send("/c", "c.example")
        self.assertEqual((a.end, b.end, pooling.dialer.names), ("", "left", ["c.example"]))

    def test_a_connection_that_comes_free_makes_room(self) -> None:
        """
        It is closed rather than kept while somebody waits.
        """
        pooling, (a, _) = self.full()
        pooling.send("/c", "c.example")
        a.answer()
        self.assertEqual((a.end, pooling.dialer.names, pooling.counted("evicted")), ("left", ["c.example"], 1))

    def test_destinations_in_order_of_arrival(self) -> None:
        """
        Who came first is connected first.
        """
        pooling, (a, b) = self.full()
        for name in ("c.example", "d.example", "e.example"):
            pooling.send("/", name)
        for connection in (a, b):
            connection.answer()
        self.assertEqual(pooling.dialer.names, ["c.example", "d.example"])

    def test_one_that_has_none_before_one_that_has_some(self) -> None:
        """
        A destination with many requests has one more connection only after those that have none.
        """
        pooling, (a, b) = self.full()
        pooling.sends(5, "a.example")
        pooling.send("/c", "c.example")
        b.break_off()
        self.assertEqual(pooling.dialer.names, ["c.example"])
        self.assertEqual(a.end, "")

    def test_one_that_has_lost_its_last(self) -> None:
        """
        A destination whose only connection is lost has the next slot, before those that have some.
        """
        pooling = Pooling(total_open_connections=2)
        pooling.send("/", "a.com")
        pooling.send("/", "b.com")
        pooling.connect()
        lost = pooling.connect()
        pooling.send("/", "a.com")
        pooling.send("/", "b.com")
        lost.break_off()
        self.assertEqual(pooling.dialer.names, ["b.com"])

    def test_one_whose_first_attempt_fails(self) -> None:
        """
        So has one whose only attempt that had a slot has failed.
        """
        pooling = Pooling(total_open_connections=2)
        pooling.send("/", "a.com")
        pooling.connect()
        pooling.send("/", "b.com")
        pooling.send("/", "a.com")
        pooling.send("/", "b.com")
        (first,) = pooling.dialer.under_way
        first.fail()
        self.assertEqual((pooling.dialer.names, pooling.told), (["b.com"], []))

    def test_a_busy_destination_does_not_keep_its_connection_for_ever(self) -> None:
        """
        A connection goes to the next request of its destination, unless a destination without one waited longer.
        """
        pooling, (a, b) = self.full()
        pooling.send("/a1", "a.example")
        pooling.send("/c", "c.example")
        pooling.send("/a2", "a.example")
        a.answer()
        self.assertEqual((a.path, pooling.dialer.names), ("/a1", []))
        a.answer()
        self.assertEqual((a.end, pooling.dialer.names, b.end), ("left", ["c.example"], ""))

    def test_cancelled_while_it_waits_for_a_slot(self) -> None:
        """
        It does not get one.
        """
        pooling, (a, _) = self.full()
        sending = pooling.send("/c", "c.example")
        pooling.send("/d", "d.example")
        sending.cancel()
        a.answer()
        self.assertEqual(pooling.dialer.names, ["d.example"])

    def test_served_while_it_waits_for_a_slot(self) -> None:
        """
        A request that gets a connection of its own destination's meanwhile wants no slot: nobody's is closed for it.
        """
        pooling = Pooling(total_open_connections=2)
        pooling.send("/", "a.com")
        pooling.send("/", "b.com")
        first, second = pooling.connect(), pooling.connect()
        pooling.send("/", "b.com")
        second.answer()
        first.answer()
        self.assertEqual((first.end, pooling.dialer.names, pooling.pool.slots.wanted), ("", [], False))

    def test_one_at_its_own_bound_does_not_hold_up_others(self) -> None:
        """
        Requests beyond the bound of their destination do not stand in the queue of all.
        """
        pooling = Pooling(total_open_connections=3, open_connections=1)
        pooling.sends(50, "a.example")
        a = pooling.connect()
        for name in ("b.example", "c.example", "d.example"):
            pooling.send("/", name)
        self.assertEqual(pooling.dialer.names, ["b.example", "c.example"])
        pooling.connect().answer()
        self.assertEqual((pooling.dialer.names, a.end), (["c.example", "d.example"], ""))

    def test_failed_attempts_give_their_slot_back(self) -> None:
        """
        Whoever waits has it next.
        """
        pooling = Pooling(total_open_connections=1)
        for name in ("a.example", "b.example"):
            pooling.send("/", name)
        pooling.dialer.under_way[0].fail()
        self.assertEqual(pooling.dialer.names, ["b.example"])


class IdleTests(TestCase):
    """
    What is kept, and for how long.
    """

    def answered(self, pooling: Pooling, number: int) -> list[ScriptedConnection]:
        """
        Have requests answered side by side.
        """
        pooling.sends(number)
        connections = [pooling.connect() for _ in range(number)]
        for connection in connections:
            connection.answer()
        return connections

    def test_so_many_for_a_destination(self) -> None:
        """
        Those that have been idle for longest leave, once nobody has asked for them for a while.
        """
        pooling = Pooling(idle_connections=2, surplus_timeout=3)
        connections = self.answered(pooling, 4)
        pooling.clock.advance(2.9)
        self.assertEqual([connection.end for connection in connections], ["", "", "", ""])
        pooling.clock.advance(0.1)
        self.assertEqual([connection.end for connection in connections], ["left", "left", "", ""])
        self.assertEqual(pooling.counted("evicted"), 2)

    def test_a_surplus_that_is_used(self) -> None:
        """
        What is asked for in time is no surplus.
        """
        pooling = Pooling(idle_connections=1, surplus_timeout=3)
        connections = self.answered(pooling, 3)
        pooling.sends(3)
        pooling.clock.advance(3)
        self.assertEqual([connection.end for connection in connections], ["", "", ""])
        self.assertEqual((pooling.counted("opened"), pooling.counted("reused")), (3, 3))

    def test_a_surplus_that_is_none_any_more(self) -> None:
        """
        Of two that are idle when their time is over none leaves, if two may be.
        """
        pooling = Pooling(idle_connections=2, surplus_timeout=3)
        connections = self.answered(pooling, 3)
        pooling.send("/long")
        pooling.clock.advance(3)
        self.assertEqual([connection.end for connection in connections], ["", "", ""])
        connections[2].answer()
        pooling.clock.advance(3)
        self.assertEqual([connection.end for connection in connections], ["left", "", ""])

    def test_a_surplus_again_and_again(self) -> None:
        """
        One that nobody uses leaves, however often there is one too many.
        """
        pooling = Pooling(idle_connections=1, surplus_timeout=3)
        connections = self.answered(pooling, 2)
        for _ in range(3):
            pooling.clock.advance(0.9)
            pooling.send("/again")
            connections[1].answer()
        self.assertEqual([connection.end for connection in connections], ["", ""])
        pooling.clock.advance(0.3)
        self.assertEqual([connection.end for connection in connections], ["left", ""])

    def test_so_many_in_all(self) -> None:
        """
        The same over all destinations.
        """
        pooling = Pooling(total_idle_connections=2)
        connections = []
        for name in ("a.example", "b.example", "c.example"):
            pooling.send("/", name)
            connections.append(pooling.connect())
            connections[-1].answer()
        self.assertEqual([connection.end for connection in connections], ["left", "", ""])

    def test_none(self) -> None:
        """
        With a limit of none every connection leaves.
        """
        pooling = Pooling(idle_connections=0)
        pooling.send()
        connection = pooling.connect()
        connection.answer()
        self.assertEqual((connection.end, pooling.status, pooling.pool.slots.taken), ("left", [], 0))

    def test_time(self) -> None:
        """
        After its time an idle connection leaves, and nothing remains.
        """
        pooling = Pooling(idle_timeout=10)
        pooling.send()
        connection = pooling.connect()
        connection.answer()
        pooling.clock.advance(9.9)
        self.assertEqual(connection.end, "")
        pooling.clock.advance(0.2)
        self.assertEqual((connection.end, pooling.status, pooling.clock.getDelayedCalls()), ("left", [], []))

    def test_time_in_use(self) -> None:
        """
        A connection that is in use again is not idle, however long ago it was.
        """
        pooling = Pooling(idle_timeout=20)
        pooling.send("/a")
        connection = pooling.connect()
        connection.answer()
        pooling.send("/b")
        pooling.clock.advance(25)
        self.assertEqual((pooling.pool.make_room(), connection.end), (False, ""))

    def test_age(self) -> None:
        """
        A connection that is too old carries no further request, be it idle or just free.
        """
        pooling = Pooling(connection_lifetime=100, idle_timeout=1000)
        pooling.sends(2)
        idle, busy = pooling.connect(), pooling.connect()
        idle.answer()
        pooling.clock.advance(100)
        busy.answer()
        pooling.send("/again")
        self.assertEqual((idle.end, busy.end, pooling.dialer.names), ("left", "left", ["ex.com"]))
        self.assertEqual(pooling.counted("retired"), 2)

    def test_one_that_is_lost(self) -> None:
        """
        It is forgotten, with all that was known of its destination.
        """
        pooling = Pooling()
        pooling.send()
        connection = pooling.connect()
        connection.answer()
        connection.break_off()
        self.assertEqual((pooling.status, pooling.pool.slots.taken, len(pooling.pool._idle)), ([], 0, 0))

    def test_one_that_is_lost_before_it_is_used(self) -> None:
        """
        A connection that the server closes in the moment in which it was made is a failure to connect.
        """
        pooling = Pooling()
        pooling.send()
        (dialled,) = pooling.dialer.under_way
        connection = dialled.build()
        connection.break_off()
        dialled.outcome.callback(connection)
        self.assertEqual((pooling.told, pooling.status, pooling.pool.slots.taken), (["/ ResponseFailed"], [], 0))


class MemoryTests(TestCase):
    """
    What remains.
    """

    def test_nothing_of_many_destinations(self) -> None:
        """
        After a thousand destinations there is nothing: no key, no connection, no slot, and one timer at the most.
        """
        pooling = Pooling()
        connections = []
        for number in range(1000):
            pooling.send("/", f"n{number}.example")
            connection = pooling.connect()
            connection.answer()
            connections.append(weakref.ref(connection))
            connection.break_off()
        del connection
        pooling.dialer.made.clear()
        gc.collect()
        self.assertEqual([one for one in connections if one() is not None], [])
        self.assertEqual((len(pooling.pool._lanes), len(pooling.pool._lane_of), pooling.pool.slots.taken), (0, 0, 0))
        self.assertEqual(len(pooling.clock.getDelayedCalls()), 1)

    def test_little_of_one_with_an_idle_connection(self) -> None:
        """
        What the pool itself has of it fits into a kilobyte.
        """
        pooling = Pooling()
        pooling.send()
        pooling.connect().answer()
        (lane,) = pooling.pool._lanes.values()
        parts = [lane, lane.destination, lane.open, lane.idle, lane.connecting, lane.waiting]
        self.assertLess(sum(map(sys.getsizeof, parts)), 1024)
        self.assertFalse(hasattr(lane, "__dict__"))


class RetiringTests(TestCase):
    """
    Connections that carry no further request.
    """

    def one_of_each(self) -> tuple[Pooling, ScriptedConnection, ScriptedConnection]:
        """
        Have an idle connection and a busy one.
        """
        pooling = Pooling()
        pooling.sends(2)
        idle, busy = pooling.connect(), pooling.connect()
        idle.answer()
        return pooling, idle, busy

    def test_all(self) -> None:
        """
        Idle ones leave at once, the others after their response.
        """
        pooling, idle, busy = self.one_of_each()
        pooling.pool.retire()
        seen = [(idle.end, busy.end)]
        busy.answer()
        seen.append((idle.end, busy.end))
        self.assertEqual((seen, pooling.told), ([("left", ""), ("left", "left")], ["/0", "/1"]))
        self.assertEqual((pooling.status, pooling.counted("retired")), ([], 2))

    def test_twice(self) -> None:
        """
        What is retired already is not retired again, nor what a destination has no more.
        """
        pooling = Pooling()
        pooling.send()
        connection = pooling.connect()
        pooling.pool.retire()
        pooling.pool.retire()
        connection.answer()
        self.assertEqual((connection.end, pooling.counted("retired")), ("left", 1))

    def test_those_who_wait_get_a_new_one(self) -> None:
        """
        A request that waits is not given a retired one that comes free.
        """
        pooling = Pooling(open_connections=1)
        pooling.sends(2)
        connection = pooling.connect()
        pooling.pool.retire()
        connection.answer()
        self.assertEqual((connection.end, pooling.dialer.names), ("left", ["ex.com"]))

    def test_what_is_made_afterwards(self) -> None:
        """
        Connections that are made after that are kept.
        """
        pooling, _, _ = self.one_of_each()
        pooling.pool.retire()
        pooling.send("/after")
        connection = pooling.connect()
        connection.answer()
        self.assertEqual(connection.end, "")

    def test_one_destination(self) -> None:
        """
        Those to a server to which nobody delegates any more leave, and no others.
        """
        pooling = Pooling()
        ends = []
        for name in ("a.example", "b.example"):
            pooling.send("/", name)
            ends.append(pooling.connect())
            ends[-1].answer()
        pooling.pool.retire_destination(ServerName("a.example"))
        self.assertEqual([connection.end for connection in ends], ["left", ""])

    def test_targets(self) -> None:
        """
        When SRV records lead elsewhere, connections to where they led leave once a new one is made.
        """
        pooling = Pooling(idle_connections=9)
        pooling.targets = [target("old.example"), target("stays.example")]
        pooling.sends(3)
        old, stays, busy = (pooling.connect() for _ in range(3))
        stays.target = target("stays.example")
        pooling.targets = [target("stays.example"), target("new.example")]
        pooling.send("/more")
        old.answer()
        stays.answer()
        self.assertEqual((old.end, stays.end, busy.end, pooling.counted("retired")), ("left", "", "", 2))


class FailureTests(TestCase):
    """
    Connections that are not made.
    """

    def test_all_who_wait_fail_with_the_last(self) -> None:
        """
        While others are being made nobody fails; then all do, each with an error of its own.
        """
        pooling = Pooling(connecting=2)
        pooling.sends(3)
        pooling.dialer.under_way[0].fail()
        self.assertEqual(pooling.told, [])
        pooling.dialer.under_way[0].fail()
        self.assertEqual(pooling.told, [f"/{number} ConnectionFailed" for number in range(3)])
        self.assertEqual((len({id(error) for error in pooling.errors}), pooling.status), (3, []))

    def test_the_error(self) -> None:
        """
        It names the server that was asked for, and has class, attempts and cause of what happened.
        """
        pooling, attempt = Pooling(), Attempt("ex.com:8448", None, ConnectionFailed("ex.com", "refused"))
        for name in ("a.example", "b.example"):
            pooling.send("/", asked=name)
        for _ in range(2):
            error = CertificateRejected("a.example", "it expired", attempts=(attempt,))
            error.__cause__ = OSError("a cause")
            pooling.dialer.under_way[0].fail(error)
        told = [(type(one), one.server_name, one.reason, one.attempts, one.__cause__) for one in pooling.errors]
        same = ("it expired", (attempt,), error.__cause__)
        expected = [(CertificateRejected, name, *same) for name in ("a.example", "b.example")]
        self.assertEqual(told, expected)

    def test_busy_connections_go_on(self) -> None:
        """
        While a connection is busy, those who wait wait for it, and nobody dials again before something happens.
        """
        pooling = Pooling()
        pooling.sends(2)
        busy = pooling.connect()
        pooling.dialer.under_way[0].fail()
        self.assertEqual((pooling.told, pooling.dialer.names), ([], []))
        busy.answer()
        busy.answer()
        self.assertEqual(pooling.told, ["/0", "/1"])

    def test_a_new_request_dials_again(self) -> None:
        """
        A request that comes then is such an event.
        """
        pooling = Pooling()
        pooling.sends(2)
        pooling.connect()
        pooling.dialer.under_way[0].fail()
        pooling.send("/2")
        self.assertEqual(pooling.dialer.names, ["ex.com", "ex.com"])

    def test_failing_at_once(self) -> None:
        """
        Attempts that fail without a wait are no endless loop, also beside a busy connection.
        """
        pooling = Pooling()
        pooling.send("/busy")
        busy = pooling.connect()
        pooling.dialer.at_once = ConnectionFailed("ex.com", "denied")
        pooling.send("/waits")
        pooling.send("/fails", "other.example")
        busy.answer()
        busy.answer()
        self.assertEqual(pooling.told, ["/fails ConnectionFailed", "/busy", "/waits"])

    def test_a_failure_that_is_not_ours(self) -> None:
        """
        Whatever else comes out of a lookup reaches the caller.
        """
        pooling = Pooling()
        pooling.dialer.at_once = ZeroDivisionError()
        pooling.send()
        self.assertEqual((pooling.told, pooling.status), (["/ ZeroDivisionError"], []))


class TimeTests(TestCase):
    """
    How long a request waits.
    """

    def test_queue_timeout(self) -> None:
        """
        A request that no connection comes free for fails, and says what holds it up.
        """
        pooling = Pooling(open_connections=1, queue_timeout=30)
        pooling.sends(2)
        pooling.connect()
        pooling.clock.advance(29.9)
        self.assertEqual(pooling.told, [])
        pooling.clock.advance(0.2)
        (error,) = pooling.errors
        self.assertIsInstance(error, TimedOut)
        self.assertEqual((error.phase, error.seconds, error.server_name), ("pool", 30, "ex.com"))
        self.assertIn("1 are open to it, and 1 in all", error.reason)
        self.assertEqual((pooling.status, pooling.counted("timeouts")), (
            ["ex.com: 0 idle, 1 busy, 0 connecting, 0 waiting"], 1,
        ))  # fmt: skip

    def test_the_last_failure_is_told(self) -> None:
        """
        If no further connection could be made, the error says why.
        """
        pooling = Pooling()
        pooling.sends(2)
        pooling.connect()
        pooling.dialer.under_way[0].fail()
        pooling.clock.advance(31)
        self.assertIn("nobody listens", pooling.errors[0].reason)

    def test_connecting_has_limits_of_its_own(self) -> None:
        """
        While a connection is being made the request waits on, for as long as that may take.
        """
        pooling = Pooling(queue_timeout=5, connect_timeout=30)
        pooling.send()
        for seconds in (5.0, 29.9):
            pooling.clock.advance(seconds)
        self.assertEqual(pooling.told, [])
        pooling.clock.advance(0.2)
        self.assertEqual((pooling.told, pooling.dialer.under_way), (["/ TimedOut"], []))

    def test_waiting_for_a_slot_is_no_connecting(self) -> None:
        """
        That there are too many connections in all is the pool's own doing.
        """
        pooling = Pooling(queue_timeout=5, total_open_connections=1)
        for name in ("a.example", "b.example"):
            pooling.send("/", name)
        pooling.connect()
        pooling.clock.advance(5.1)
        self.assertEqual(pooling.told, ["/ TimedOut"])

    def test_the_timer_ends(self) -> None:
        """
        A request that has its connection waits no longer.
        """
        pooling = Pooling(idle_timeout=500)
        pooling.send()
        connection = pooling.connect()
        pooling.clock.advance(100)
        connection.answer()
        self.assertEqual(pooling.told, ["/"])


class RetryTests(TestCase):
    """
    A request that is sent twice.
    """

    def used(self, **settings: Any) -> tuple[Pooling, ScriptedConnection]:
        """
        Have a connection that was used before.
        """
        pooling = Pooling(**settings)
        pooling.send("/before")
        connection = pooling.connect()
        connection.answer()
        return pooling, connection

    def test_once_on_a_new_connection(self) -> None:
        """
        A used connection that closes without a byte is replaced by a new one, not by another idle one.
        """
        pooling = Pooling()
        pooling.sends(2)
        first, second = pooling.connect(), pooling.connect()
        first.answer()
        second.answer()
        pooling.send("/again")
        second.break_off()
        self.assertEqual((first.requests, pooling.dialer.names), (1, ["ex.com"]))
        pooling.connect().answer()
        self.assertEqual((pooling.told, pooling.counted("retried")), (["/0", "/1", "/again"], 1))

    def test_not_twice(self) -> None:
        """
        The second failure is the caller's.
        """
        pooling, connection = self.used()
        pooling.send("/again")
        connection.break_off()
        pooling.connect().break_off()
        self.assertEqual((pooling.told[1:], pooling.status), (["/again ResponseFailed"], []))

    def test_what_is_not_repeated(self) -> None:
        """
        Neither what is not idempotent, nor what the server began to answer, nor a body that is gone.
        """
        table: list[tuple[dict[str, Any], bool]] = [
            ({"method": b"POST"}, False),
            ({"method": b"PATCH"}, False),
            ({"method": b"get"}, False),
            ({"method": b"PUT", "body": Producer(b"x" * 9)}, False),
            ({"method": b"GET"}, True),
        ]
        for request, heard in table:
            pooling, connection = self.used(max_repeatable_body=8)
            pooling.send("/again", **request)
            connection.break_off(heard=heard)
            self.assertEqual((pooling.told[1:], pooling.dialer.names), (["/again ResponseFailed"], []))

    def test_what_is_repeated(self) -> None:
        """
        The idempotent methods, and bodies that were kept.
        """
        requests: list[dict[str, Any]] = [
            {"method": method} for method in (b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE")
        ]
        for request in [*requests, {"method": b"PUT", "body": Producer(b"x" * 8)}]:
            pooling, connection = self.used(max_repeatable_body=8)
            pooling.send("/again", **request)
            connection.break_off()
            pooling.connect().answer()
            self.assertEqual(pooling.told[1:], ["/again"])

    def test_a_new_connection_that_closes(self) -> None:
        """
        It was not idle for too long: sending again would be of no use.
        """
        pooling = Pooling()
        pooling.send()
        pooling.connect().break_off()
        self.assertEqual((pooling.told, pooling.dialer.names), (["/ ResponseFailed"], []))

    def test_before_those_who_wait(self) -> None:
        """
        The next new connection is the repeated request's, and those that come free are the others'.
        """
        pooling = Pooling(open_connections=2)
        pooling.sends(2)
        first, second = pooling.connect(), pooling.connect()
        first.answer()
        pooling.send("/again")
        pooling.send("/waits")
        first.break_off()
        second.answer()
        self.assertEqual(second.path, "/waits")
        self.assertEqual(pooling.connect().path, "/again")

    def test_idle_connections_are_for_others(self) -> None:
        """
        While a new one is made for it, the next request has the one that is idle.
        """
        pooling = Pooling(open_connections=2)
        pooling.sends(2)
        first, second = pooling.connect(), pooling.connect()
        second.answer()
        pooling.pool.slots.take()
        first.answer()
        pooling.send("/again")
        first.break_off()
        pooling.send("/more")
        self.assertEqual((second.path, pooling.dialer.names), ("/more", ["ex.com"]))

    def test_the_new_connection_fails(self) -> None:
        """
        Then the caller learns why; busy connections do not help.
        """
        pooling = Pooling()
        pooling.sends(2)
        first, _ = pooling.connect(), pooling.connect()
        first.answer()
        pooling.send("/again")
        first.break_off()
        pooling.dialer.under_way[0].fail()
        self.assertEqual(pooling.told, ["/0", "/again ConnectionFailed"])


@implementer(IBodyProducer)
class Producer(Unhurried):
    """
    Produces a body at once.
    """

    def __init__(self, body: bytes, outcome: Deferred[None] | None = None) -> None:
        self.body = body
        self.length = len(body)
        self.outcome = outcome
        self.started = 0

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """
        Produce.
        """
        self.started += 1
        consumer.write(self.body)
        return succeed(None) if self.outcome is None else self.outcome


class BodyTests(TestCase):
    """
    Bodies that are produced before they are sent.
    """

    def test_not_before_there_is_a_connection(self) -> None:
        """
        Nothing is read for a server that has not proved to be the right one.
        """
        pooling, producer = Pooling(), Producer(b"body")
        pooling.send(method=b"PUT", body=producer)
        self.assertEqual(producer.started, 0)
        pooling.connect().answer()
        self.assertEqual((producer.started, pooling.told), (1, ["/"]))

    def test_a_body_that_fails(self) -> None:
        """
        The connection that waited for it is as good as before.
        """
        pooling = Pooling()
        pooling.send(method=b"PUT", body=Producer(b"body", fail(OSError("the disk is gone"))))
        pooling.connect()
        self.assertEqual(pooling.told, ["/ ResponseFailed"])
        self.assertEqual(pooling.status, ["ex.com: 1 idle, 0 busy, 0 connecting, 0 waiting"])

    def test_cancelled_while_it_is_produced(self) -> None:
        """
        So it is when the request is cancelled.
        """
        pooling = Pooling()
        sending = pooling.send(method=b"PUT", body=Producer(b"body", Deferred()))
        pooling.connect()
        sending.cancel()
        self.assertEqual(pooling.status, ["ex.com: 1 idle, 0 busy, 0 connecting, 0 waiting"])

    def test_a_connection_that_is_lost_meanwhile(self) -> None:
        """
        Another one is made, and the body is not produced again.
        """
        pooling, produced = Pooling(), Deferred[None]()
        producer = Producer(b"body", produced)
        pooling.send(method=b"POST", body=producer)
        pooling.connect().break_off()
        produced.callback(None)
        pooling.connect().answer()
        self.assertEqual((pooling.told, producer.started), (["/"], 1))

    def test_a_connection_that_is_retired_meanwhile(self) -> None:
        """
        Nothing is sent over it any more.
        """
        pooling, produced = Pooling(), Deferred[None]()
        pooling.send(method=b"PUT", body=Producer(b"body", produced))
        connection = pooling.connect()
        pooling.pool.retire()
        produced.callback(None)
        self.assertEqual((connection.end, connection.requests, pooling.dialer.names), ("left", 0, ["ex.com"]))


class ClosingTests(TestCase):
    """
    L{ConnectionPool.close}.
    """

    def test_everything_ends(self) -> None:
        """
        Who waits is cancelled, what is being made is given up, what is open is dropped, and no timer remains.
        """
        pooling = Pooling(open_connections=2, total_open_connections=3)
        pooling.sends(4)
        busy = pooling.connect()
        pooling.sends(2, "other.example")
        idle = pooling.dialer.under_way[-1].succeed()
        idle.answer()
        pooling.pool.close()
        self.assertEqual((busy.end, idle.end, pooling.dialer.under_way), ("aborted", "aborted", []))
        self.assertEqual((pooling.status, pooling.clock.getDelayedCalls()), ([], []))

    def test_nothing_enters_afterwards(self) -> None:
        """
        Requests fail, and nothing is dialled.
        """
        pooling = Pooling()
        pooling.pool.close()
        pooling.send()
        self.assertEqual((pooling.told, pooling.dialer.made), (["/ AgentClosed"], []))

    def test_an_attempt_that_cannot_be_given_up(self) -> None:
        """
        A connection that is made all the same is dropped.
        """
        pooling = Pooling()
        pooling.dialer.is_stubborn = True
        pooling.send().cancel()
        (connection,) = pooling.dialer.stubborn
        self.assertEqual((connection.end, pooling.status, pooling.pool.slots.taken), ("aborted", [], 0))


class StatusTests(TestCase):
    """
    L{ConnectionPool.status}, and what is counted.
    """

    def test_values(self) -> None:
        """
        Each destination has its numbers.
        """
        pooling = Pooling(open_connections=2)
        pooling.sends(4)
        pooling.connect()
        (found,) = pooling.pool.status()
        numbers = (found.scheme, str(found.effective), found.idle, found.busy, found.connecting, found.waiting)
        self.assertEqual(numbers, ("matrix-federation", "ex.com", 0, 1, 1, 3))
        self.assertEqual(str(found), "matrix-federation://ex.com: 0 idle, 1 busy, 1 connecting, 3 waiting")

    def test_counters(self) -> None:
        """
        What happened is counted under its name.
        """
        pooling = Pooling()
        pooling.send()
        connection = pooling.connect()
        connection.answer()
        pooling.send()
        connection.break_off()
        pooling.dialer.under_way[0].fail()
        counted = {"opened": 1, "waited": 2, "reused": 1, "retried": 1, "failures": 1}
        self.assertEqual(dict(pooling.counters.snapshot()), {f"pool.{name}": n for name, n in counted.items()})
        self.assertIsInstance(pooling.errors[0], FederationError)
        self.assertNotIsInstance(pooling.errors[0], ResponseFailed)
