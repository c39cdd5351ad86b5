"""
Hostile clients and moody remotes: whatever they do, and in whatever order, the gateway keeps its books.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed

from matrix_federation_agent._gateway.answers import Answer
from matrix_federation_agent._gateway.factory import GatewayFactory
from matrix_federation_agent._gateway.forwarder import Exchange, Forwarder
from matrix_federation_agent._gateway.head import RequestHead
from matrix_federation_agent._gateway.secret import Secret
from matrix_federation_agent._http.connection import UNDELIMITED
from matrix_federation_agent._http.head import MalformedMessage
from matrix_federation_agent._http.request import request_head
from matrix_federation_agent._http.response import Body
from matrix_federation_agent._policies import GatewayPolicy
from matrix_federation_agent.errors import FederationError
from tests.case import TestCase
from tests.conformance.raw_http import Message, read_messages

from .wire_kit import SECRET, TARGET, Agent, Asked, Client, put, request

hostile = settings(deadline=None, database=None, derandomize=True, max_examples=150)

CHUNKED = b"Transfer-Encoding: chunked\r\n"
EXPECT = b"Expect: 100-continue\r\n"
CLOSE = b"Connection: close\r\n"
CHUNKS = b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nTrailer: z\r\n\r\n"
POLICY = GatewayPolicy(max_body_bytes=300_000, max_requests=3, max_head_bytes=2000, max_headers=10)

WHOLE = (
    request(),
    request(more=CLOSE),
    request(version=b"1.0"),
    request(more=b"Connection: keep-alive\r\n", version=b"1.0"),
    put(b"{}"),
    put(b"{}", CLOSE),
    put(b"ab", EXPECT),
    put(b"x" * 70_000),
    request(b"PUT", CHUNKED, CHUNKS),
    request(b"PUT", CHUNKED + EXPECT, CHUNKS),
    b"\r\n" + request(),
    b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % TARGET,
    request(more=b"Expect: x\r\n"),
    b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
)
BROKEN = (
    b"GET %b HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n" % TARGET,
    request(b"PUT", CHUNKED + b"Content-Length: 2\r\n", CHUNKS),
    request(b"PUT", CHUNKED, b"3\r\nabcX"),
    request(b"PUT", b"Content-Length: 999999\r\n"),
    b"G",
    b"\r\n",
    b"\r\n\r\n",
    b"GET / HTTP/1.1\n\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"x" * 3000,
    b"y" * 70_000,
    b"0\r\n\r\n",
)
RESPONSES = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    b"HTTP/1.1 204 None\r\n\r\n",
    b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nabc",
)

names = st.sampled_from((
    b"X", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Trailer", b"TE", b"Expect", b"Upgrade", b"Proxy-X",
    b"Content-Length ", b" Content-Length", b"Content_Length", b"Host", b"\x0bX", b"", b"Keep-Alive", b"X\r\nY",
))  # fmt: skip
values = st.sampled_from((
    b"0", b"2", b"2, 2", b"+2", b"02", b"chunked", b"chunked, chunked", b"\x0bchunked", b"close", b"x, host", b"a\rb",
    b"a\nTransfer-Encoding: chunked", b"a\r\n b", b"\xff\x85", b"a\x0cb", b"\0", b"",
)) | st.binary(max_size=5)  # fmt: skip
ends = st.sampled_from((b"\r\n", b"\r\n", b"\n", b"\r"))
lines = st.tuples(names, values, ends).map(lambda one: b"%b: %b%b" % one)

Step = tuple[str, Any]
sent = st.tuples(st.just("send"), st.sampled_from(WHOLE) | st.sampled_from(BROKEN) | st.binary(max_size=4))
cut = st.tuples(st.just("cut"), st.sampled_from(WHOLE), st.integers(1, 400)).map(lambda one: (one[0], one[1:]))
steps: st.SearchStrategy[list[Step]] = st.lists(
    sent
    | cut
    | st.tuples(st.just("answer"), st.sampled_from(RESPONSES))
    | st.tuples(st.sampled_from(("more", "broken", "closed", "failed", "unreached")), st.none())
    | st.tuples(st.sampled_from(("take", "stop", "hold", "release", "full", "taken", "drain", "abort")), st.none())
    | st.tuples(st.just("pass"), st.sampled_from((0.0, 1.0, 11.0, 61.0, 91.0))),
    max_size=14,
)


class Ending:
    """
    An exchange whose ends are counted.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.ends = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)

    def end(self, *args: Any, **kwargs: Any) -> None:
        """
        Count, and end.
        """
        self.ends += 1
        self._exchange.end(*args, **kwargs)


class Counting(Forwarder):
    """
    Counts the ends of exchanges.

    @ivar begun: all exchanges.
    """

    begun: list[Ending]

    def receive(self, head: RequestHead, peer: str) -> Any:
        """
        Keep what is an exchange.
        """
        taken = super().receive(head, peer)
        if isinstance(taken, Answer):
            return taken
        ending = Ending(taken)
        self.begun.append(ending)
        return ending


class World:
    """
    A gateway, one client, and an agent that does what the steps say.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.agent = Agent()
        self.agent.when_asked = lambda asked: None
        self.forwarder = Counting(self.clock, self.agent, Secret.of(SECRET), POLICY)  # type: ignore[arg-type]
        self.forwarder.begun = []
        self.factory = GatewayFactory(self.clock, self.forwarder)
        self.client = Client(self.factory)
        self.bodies: list[Body] = []
        self.lost = False

    def apply(self, step: Step) -> None:
        """
        Do one thing.
        """
        name, argument = step
        if not self.lost:
            getattr(self, "do_" + name)(argument)

    def do_send(self, data: bytes) -> None:
        """
        Let something arrive, if anybody reads.
        """
        if self.client.line.reading:
            self.client.send(data)

    def do_cut(self, what: tuple[bytes, int]) -> None:
        """
        Let something arrive in two pieces.
        """
        data, where = what
        self.do_send(data[:where])
        if data[where:]:
            self.do_send(data[where:])

    @property
    def waiting(self) -> list[Asked]:
        """
        Requests that have no response.
        """
        return [asked for asked in self.agent.asked if not asked.response.called]

    def do_answer(self, data: bytes) -> None:
        """
        Let a response begin.
        """
        for asked in self.waiting[:1]:
            number = b"X-Number: %d\r\n" % self.agent.asked.index(asked)
            self.bodies.append(asked.answer(data.replace(b"\r\n", b"\r\n" + number, 1)))

    def do_more(self, _: None) -> None:
        """
        Let a response go on.
        """
        for body in self.bodies[-1:]:
            body.receive(b"more")

    def do_broken(self, _: None) -> None:
        """
        Let one end too early.
        """
        for body in self.bodies[-1:]:
            body.end(Failure(ResponseFailed([Failure(ConnectionLost())])))

    def do_closed(self, _: None) -> None:
        """
        Let one end with the connection.
        """
        for body in self.bodies[-1:]:
            body.end(UNDELIMITED)

    def do_failed(self, _: None) -> None:
        """
        Let there be no response.
        """
        for asked in self.waiting[:1]:
            asked.response.errback(FederationError("ex.com", "none"))

    def do_unreached(self, _: None) -> None:
        """
        Let no further request reach anybody.
        """
        self.agent.when_asked = lambda asked: asked.response.errback(FederationError("ex.com", "none"))

    def do_take(self, _: None) -> None:
        """
        Take the body.
        """
        for asked in self.waiting[:1]:
            if asked.producer is not None and not hasattr(asked, "uploading"):
                asked.take()

    def _uploading(self, what: str) -> None:
        for asked in self.agent.asked[-1:]:
            if hasattr(asked, "uploading"):
                getattr(asked.uploading, what)()

    def do_stop(self, _: None) -> None:
        """
        Take no more of it.
        """
        self._uploading("stop")

    def do_hold(self, _: None) -> None:
        """
        Take no more for now.
        """
        self._uploading("pause")

    def do_release(self, _: None) -> None:
        """
        Take more.
        """
        self._uploading("resume")

    def do_full(self, _: None) -> None:
        """
        Let the client take nothing.
        """
        if self.client.line.producer is not None:
            self.client.connection.pauseProducing()

    def do_taken(self, _: None) -> None:
        """
        Let it have taken everything.
        """
        if self.client.line.producer is not None:
            self.client.connection.resumeProducing()

    def do_drain(self, _: None) -> None:
        """
        Stop gently.
        """
        self.factory.drain()

    def do_abort(self, _: None) -> None:
        """
        Stop at once.
        """
        self.factory.abort()

    def do_pass(self, seconds: float) -> None:
        """
        Let time pass; connections that are dropped or closed end.
        """
        self.clock.advance(seconds)
        if "abort" in self.client.line.done:
            self.lose(ConnectionAborted())
        elif "close" in self.client.line.done:
            self.lose(ConnectionDone())

    def lose(self, reason: Exception) -> None:
        """
        End the connection.
        """
        if not self.lost:
            self.lost = True
            self.client.connection.connectionLost(Failure(reason))

    @property
    def messages(self) -> list[Message]:
        """
        What the client was sent.
        """
        return read_messages(self.client.received, closed=True)


class SequenceTests(TestCase):
    """
    Anything, in any order.
    """

    def setUp(self) -> None:
        """
        Keep what hypothesis writes out of the checkout.
        """
        super().setUp()
        set_hypothesis_home_dir(str(Path(self.mktemp()).absolute()))
        self.addCleanup(set_hypothesis_home_dir, None)

    def run_through(self, script: list[Step], end: Exception) -> World:
        """
        Go through a script, to the end of the connection.
        """
        world = World()
        for step in script:
            world.apply(step)
        world.lose(end)
        return world

    @hostile
    @given(steps)
    def test_the_books_are_right(self, script: list[Step]) -> None:
        """
        Nothing is raised, each request ends once, and nothing of the connection is left.
        """
        world = self.run_through(script, ConnectionDone())
        self.assertEqual({ending.ends for ending in world.forwarder.begun} - {1}, set())
        clients, places = world.forwarder.clients, world.forwarder.under_way()
        self.assertEqual((clients.open, clients.idle, places), (0, 0, 0))
        self.assertEqual(world.clock.getDelayedCalls(), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    @hostile
    @given(steps)
    def test_what_the_client_is_sent(self, script: list[Step]) -> None:
        """
        Responses are well-formed, in order, and but for the last complete; none follows one that is the last.
        """
        messages = self.run_through(script, ConnectionLost()).messages
        final = [one for one in messages if one.code >= 200]
        self.assertEqual(
            [one.start for one in messages if not re.match(rb"HTTP/1\.1 [1-5]\d\d [ -~]*$", one.start)], []
        )
        self.assertEqual(
            [one.start for one in final[:-1] if not one.whole or one.values(b"connection") == [b"close"]], []
        )
        numbers = [int(number) for one in final for number in one.values(b"x-number")]
        self.assertEqual(numbers, sorted(set(numbers)))

    @hostile
    @given(st.lists(lines, max_size=4).map(b"".join), st.sampled_from((b"", b"ab")))
    def test_one_request_is_one_request(self, more: bytes, body: bytes) -> None:
        """
        What the remote is sent is one request, with one body, whatever header lines the client has.
        """
        world = World()
        world.client.send(request(b"PUT", b"Content-Length: %d\r\n%b" % (len(body), more), body))
        for asked in world.agent.asked:
            length = None if asked.producer is None else int(asked.producer.length)
            head = request_head(asked.method, b"/", b"ex.com", b"x", asked.headers, length)
            (message,) = read_messages(head + body)
            self.assertEqual((message.body, message.whole, message.names.count(b"content-length")), (body, True, 1))
            self.assertNotIn(b"hunter2", head)
            self.assertFalse({b"transfer-encoding", b"connection", b"upgrade"} & set(message.names))
        world.lose(ConnectionDone())

    @hostile
    @given(st.binary(max_size=6), st.lists(lines, max_size=4).map(b"".join))
    def test_one_response_is_one_response(self, phrase: bytes, more: bytes) -> None:
        """
        What the client is sent is one response, with one body, whatever the remote's words and header lines.
        """
        world = World()
        world.client.send(request())
        try:
            world.do_answer(b"HTTP/1.1 200 %b\r\n%bX: y\r\nContent-Length: 2\r\n\r\nhi" % (phrase, more))
        except MalformedMessage:
            return
        (message,) = world.messages
        framed = message.names.count(b"content-length") + message.names.count(b"transfer-encoding")
        self.assertEqual((message.body[-2:], framed), (b"hi", 1))
        self.assertFalse({b"connection", b"upgrade"} & set(message.names))
        world.lose(ConnectionDone())

    @hostile
    @given(
        st.lists(st.sampled_from(WHOLE), max_size=5),
        st.lists(st.integers(0, 1200), max_size=8),
        st.sampled_from(BROKEN[4:]),
    )
    def test_cut_anywhere(self, requests: list[bytes], cuts: list[int], last: bytes) -> None:
        """
        The same bytes are the same requests and have the same answers, however they are cut.
        """
        data = b"".join([*requests, last])
        places = [0, *sorted(cuts), len(data)]
        pieces = [data[begin:end] for begin, end in pairwise(places)]
        self.assertEqual(self.answers([data]), self.answers(pieces))

    def answers(self, pieces: list[bytes]) -> tuple[list[tuple[bytes, bytes]], list[bytes], list[str]]:
        """
        Send pieces to a gateway whose agent answers with the body, once it has taken that.
        """
        world = World()
        world.agent.when_asked = _echo(world)
        for piece in pieces:
            world.client.send(piece)
        final = [(one.start, one.body) for one in world.messages if one.code >= 200]
        found = final, [asked.uri for asked in world.agent.asked], world.client.line.done
        world.lose(ConnectionDone())
        return found


def _echo(world: World) -> Callable[[Asked], None]:
    """
    Make an agent that answers with the body.
    """

    def echo(asked: Asked) -> None:
        def answer(_: object = None) -> None:
            if not asked.response.called:
                world.do_answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(asked.taken), asked.taken))

        if asked.producer is None:
            answer()
        else:
            asked.take()
            asked.uploading.finished.addCallback(answer)

    return echo
