"""
Tests of C{matrix_federation_agent._gateway.hangup}.
"""

from __future__ import annotations

import socket
from types import SimpleNamespace

from twisted.internet.task import Clock

from matrix_federation_agent._gateway.hangup import INTERVAL, HangUps
from matrix_federation_agent._gateway.wire import MAXIMUM_KEPT
from tests.case import TestCase

from .wire_kit import Client, WireCase, request


class Watched:
    """
    A connection over a real socket that is not read from.
    """

    def __init__(self, case: TestCase) -> None:
        self.socket, self.client = socket.socketpair()
        for one in (self.socket, self.client):
            case.addCleanup(one.close)
        self.transport = SimpleNamespace(fileno=self.socket.fileno)
        self.aborted = 0

    def abort(self) -> None:
        """
        Count.
        """
        self.aborted += 1


class HangUpsTests(TestCase):
    """
    L{HangUps}.
    """

    def setUp(self) -> None:
        """
        Look after nobody yet.
        """
        super().setUp()
        self.clock = Clock()
        self.hang_ups = HangUps(self.clock)

    def watch(self) -> Watched:
        """
        Look after a connection.
        """
        watched = Watched(self)
        self.hang_ups.add(watched)  # type: ignore[arg-type]
        return watched

    def test_a_client_that_closes(self) -> None:
        """
        It is found with the next look, although there are bytes to be read; others are left alone.
        """
        here, gone = self.watch(), self.watch()
        gone.client.sendall(b"abc")
        gone.client.close()
        here.client.sendall(b"abc")
        self.clock.advance(INTERVAL)
        self.assertEqual((here.aborted, gone.aborted), (0, 1))

    def test_a_client_that_sends_nothing_more(self) -> None:
        """
        Half a connection is none.
        """
        watched = self.watch()
        watched.client.shutdown(socket.SHUT_WR)
        self.clock.advance(INTERVAL)
        self.assertEqual(watched.aborted, 1)

    def test_again_and_again(self) -> None:
        """
        It looks as long as there is somebody to look after.
        """
        watched = self.watch()
        self.clock.pump([INTERVAL] * 3)
        watched.client.close()
        self.clock.advance(INTERVAL)
        self.assertEqual(watched.aborted, 1)

    def test_nobody_is_left(self) -> None:
        """
        Then there is no timer; and who is left alone is not looked at.
        """
        first, second = self.watch(), self.watch()
        first.client.close()
        self.hang_ups.discard(first)  # type: ignore[arg-type]
        self.clock.advance(INTERVAL)
        self.hang_ups.discard(second)  # type: ignore[arg-type]
        self.hang_ups.discard(second)  # type: ignore[arg-type]
        self.assertEqual((first.aborted, self.clock.getDelayedCalls()), (0, []))

    def test_a_socket_that_is_closed_already(self) -> None:
        """
        It is passed over.
        """
        watched = self.watch()
        watched.socket.close()
        self.clock.advance(INTERVAL)
        self.assertEqual((watched.aborted, len(self.clock.getDelayedCalls())), (0, 1))


class PausedTests(WireCase):
    """
    Connections that are not read from.
    """

    def test_a_client_that_goes_away(self) -> None:
        """
        The outgoing request is cancelled, although nothing is read.
        """
        mine, theirs = socket.socketpair()
        self.addCleanup(mine.close)
        self.line.descriptor = mine.fileno()
        self.send(request() + b"x" * (MAXIMUM_KEPT + 1))
        self.clock.advance(INTERVAL)
        self.assertEqual(self.line.done, [])
        theirs.close()
        self.clock.advance(INTERVAL)
        self.assertEqual((self.line.done, self.timers), (["abort"], 0))
        self.client.close()
        self.assertEqual(self.asked.cancelled, 1)

    def test_nobody_looks_after_those_that_have_ended(self) -> None:
        """
        However they ended.
        """
        self.client.close()
        for end in (Client.close, lambda client: client.connection.abort()):
            client = self.connect()
            client.send(request() + b"x" * (MAXIMUM_KEPT + 1))
            before = self.timers
            end(client)
            self.assertEqual((before, self.timers), (2, 0))

    def test_nobody_looks_after_those_that_are_read_from(self) -> None:
        """
        A connection that is read from again tells of its end itself.
        """
        self.send(request() + b"x" * (MAXIMUM_KEPT + 1))
        before = self.timers
        self.asked.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual((before, self.timers), (2, 1))
