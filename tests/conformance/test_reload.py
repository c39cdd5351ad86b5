"""
CONFORMANCE 6, T7: roots that change while requests are under way, and the certificate that we show.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import treq
from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IAddress, IOpenSSLContextFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import globalLogPublisher
from twisted.web.iweb import IResponse
from zope.interface import implementer

from matrix_federation_agent import MatrixFederationAgent, TrustPolicy
from matrix_federation_agent._connect.open_connections import Abortable
from matrix_federation_agent.errors import CertificateRejected, ConfigurationError, ResponseFailed
from matrix_federation_agent.testing import Certificate
from tests.conformance.case import FederationCase, RawServer, until
from tests.tls.files import Authority, TrustObserver, root

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
EX = "192.0.2.1"


def common_name(name: x509.Name) -> str:
    """
    Read a name that is only a commonName.
    """
    return name.rfc4514_string().removeprefix("CN=")


class HoldingPeer(Protocol):
    """
    Tells its factory of each request, and under which root it arrived.
    """

    factory: HoldingServer

    def dataReceived(self, data: bytes) -> None:
        """
        A request of these tests fits into one piece.
        """
        transport: Any = self.transport
        certificate = transport.getHandle().get_certificate().to_cryptography()
        self.factory.arrived.append((common_name(certificate.issuer), data.split(b" ")[1].decode("ascii")))
        self.factory.held.append(self)
        self.factory.let_go()


class HoldingServer(Factory):
    """
    A server that answers when it is told to.

    @ivar arrived: root and path of every request.
    @ivar held: those that wait for their answers.
    @ivar open: whether it answers at once.
    """

    noisy = False

    def __init__(self, *, answers: bool = True) -> None:
        self.open = answers
        self.arrived: list[tuple[str, str]] = []
        self.held: list[HoldingPeer] = []

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        Make the protocol of one connection.
        """
        peer = HoldingPeer()
        peer.factory = self
        return peer

    async def holds(self, count: int) -> None:
        """
        Wait until so many requests wait for their answers.
        """
        await until(lambda: len(self.held) == count)

    def release(self) -> None:
        """
        Answer all that wait, and from now on at once.
        """
        self.open = True
        self.let_go()

    def let_go(self) -> None:
        """
        Answer, if it may.
        """
        while self.open and self.held:
            transport: Any = self.held.pop(0).transport
            transport.write(ANSWER)


@implementer(IOpenSSLContextFactory)
@attrs.define(eq=False)
class Shown:
    """
    The certificate that a server shows to who connects now.
    """

    context: SSL.Context

    def getContext(self) -> SSL.Context:
        """
        Give the one of now.
        """
        return self.context


@attrs.frozen
class ChangingCertificate(Certificate):
    """
    A certificate that is exchanged while the server runs.
    """

    shown: Shown = attrs.field(kw_only=True)

    @classmethod
    def of(cls, certificate: Certificate) -> ChangingCertificate:
        """
        Begin with one.
        """
        shown = Shown(certificate.context_factory().getContext())
        return cls(certificate.certificate_pem, certificate.private_key_pem, shown=shown)

    def context_factory(self) -> IOpenSSLContextFactory:
        """
        Give what can be changed.
        """
        return self.shown

    def become(self, certificate: Certificate) -> None:
        """
        Show another one from now on.
        """
        self.shown.context = certificate.context_factory().getContext()


class ReloadCase(FederationCase):
    """
    An agent that trusts root A, and a server C{ex.com} under it.
    """

    def setUp(self) -> None:
        """
        Make three roots.
        """
        super().setUp()
        self.roots = {name: root(name) for name in "ABC"}
        self.path = Path(self.mktemp())
        self.trust_in("A")
        self.shown: dict[str, ChangingCertificate] = {}

    def trust_in(self, *names: str) -> None:
        """
        Write the file of roots.
        """
        self.path.write_bytes(b"".join(self.roots[name].pem for name in names))

    def agent(self, **settings: Any) -> MatrixFederationAgent:
        """
        Make an agent.
        """
        policy = TrustPolicy(ca_files=[self.path], use_system_roots=False, **settings)
        return self.federation.agent(trust=policy)

    def listen(self, server: Factory, name: str = "ex.com", address: str = EX) -> None:
        """
        Start a server whose certificate comes from root A.
        """
        self.dns.add_address(name, address)
        self.shown[name] = ChangingCertificate.of(self.roots["A"].server(name))
        self.federation.listen_tls(address, 8448, server, self.shown[name])

    def show(self, authority: str) -> None:
        """
        Let every server have its certificate from another root from now on.
        """
        for name, certificate in self.shown.items():
            certificate.become(self.roots[authority].server(name))

    def send(self, agent: MatrixFederationAgent, path: str = "/", name: str = "ex.com") -> Deferred[int]:
        """
        Send a request, and read the response.
        """

        async def whole() -> int:
            response: IResponse = await self.ask(f"{name}:8448", agent, path)
            await treq.content(response)
            return int(response.code)

        return Deferred.fromCoroutine(whole())


class ReloadTests(ReloadCase):
    """
    T7: C{reload_trust}.
    """

    async def test_T7_new_roots_count(self) -> None:
        """
        After the reload the new root is believed, and the old one is not.
        """
        server, agent = HoldingServer(), self.agent()
        self.listen(server)
        await self.send(agent, "/1")
        self.trust_in("B")
        agent.reload_trust()
        await self.fails(self.send(agent, "/2"), CertificateRejected)
        self.show("B")
        await self.send(agent, "/3")
        self.assertEqual(server.arrived, [("A", "/1"), ("B", "/3")])

    async def test_T7_idle_connections_are_closed(self) -> None:
        """
        A connection that waits for the next request is closed at once.
        """
        server, agent = RawServer(ANSWER, closes=False), self.agent()
        self.listen(server)
        await self.send(agent)
        self.assertEqual(server.connected, 1)
        agent.reload_trust()
        await until(lambda: server.connected == 0)

    async def test_T7_running_requests_finish(self) -> None:
        """
        A request that is under way gets its response, and its connection is closed and not used again.
        """
        server, agent = HoldingServer(answers=False), self.agent()
        self.listen(server)
        sending = self.send(agent, "/1")
        await server.holds(1)
        self.trust_in("B")
        self.show("B")
        agent.reload_trust()
        server.release()
        self.assertEqual(await sending, 200)
        await self.send(agent, "/2")
        self.assertEqual(server.arrived, [("A", "/1"), ("B", "/2")])

    async def test_T7_no_old_connection_stays_open(self) -> None:
        """
        After the last response that was under way there is no connection left.
        """
        server, agent = HoldingServer(answers=False), self.agent()
        self.listen(server)
        sending = self.send(agent)
        await server.holds(1)
        agent.reload_trust()
        server.release()
        await sending
        await until(lambda: len(agent._dialer.open_connections) == 0)

    async def test_T7_a_broken_file(self) -> None:
        """
        A broken file is told of, and the old roots and connections stay.
        """
        server, agent = RawServer(ANSWER, closes=False), self.agent()
        self.listen(server)
        await self.send(agent)
        self.path.write_bytes(self.roots["B"].pem[:-30])
        self.assertRaises(ConfigurationError, agent.reload_trust)
        self.assertEqual((await self.send(agent), server.accepted), (200, 1))

    async def test_T7_after_closing(self) -> None:
        """
        An agent that is closed reads no files, not even broken ones.
        """
        agent = self.agent(watch_interval=0.01)
        await agent.close()
        self.path.unlink()
        agent.reload_trust()
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_T7_roots_of_no_use(self) -> None:
        """
        Roots that have expired are warned of when the agent is made, and at each reload.
        """
        observer = TrustObserver()
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.path.write_bytes(root("old", days=-3).pem)
        self.agent().reload_trust()
        self.assertEqual([event.split(":")[0] for event in observer.events], ["warn", "info", "warn"])

    async def test_T7_watching(self) -> None:
        """
        A change of the file is noticed, without anybody's word.
        """
        server, agent = HoldingServer(), self.agent(watch_interval=0.01)
        self.listen(server)
        await self.send(agent, "/1")
        self.show("B")
        self.trust_in("B", "C")
        await until(lambda: len(agent._trust.generation.roots) == 2)
        await self.send(agent, "/2")
        self.assertEqual(server.arrived, [("A", "/1"), ("B", "/2")])


class LoadTests(ReloadCase):
    """
    T7: a reload under load.
    """

    def many(self, agent: MatrixFederationAgent, phase: str, count: int) -> list[Deferred[int]]:
        """
        Begin requests to all servers by turns.
        """
        names = list(self.shown)
        return [self.send(agent, f"/{phase}", names[number % len(names)]) for number in range(count)]

    async def test_T7_two_reloads_with_200_requests_in_flight(self) -> None:
        """
        No request is lost, and none is sent under roots that count no more.
        """
        agent, server = self.agent(), HoldingServer(answers=False)
        for number in range(10):
            self.listen(server, f"n{number}.example", f"192.0.2.{number + 1}")
        running = self.many(agent, "first", 200)
        await server.holds(200)
        for number, (new, phase) in enumerate((("B", "second"), ("C", "third")), 1):
            self.trust_in(new)
            self.show(new)
            agent.reload_trust()
            running += self.many(agent, phase, 20)
            await server.holds(200 + 20 * number)
        server.release()
        codes = await gatherResults([*running, *self.many(agent, "fourth", 20)])
        expected = {("A", "/first"): 200, ("B", "/second"): 20, ("C", "/third"): 20, ("C", "/fourth"): 20}
        self.assertEqual((set(codes), len(codes), Counter(server.arrived)), ({200}, 260, expected))

    async def test_T7_handshakes_under_way(self) -> None:
        """
        Requests whose connections are being made while the roots change all arrive, under the new ones.
        """
        agent, server = self.agent(), HoldingServer()
        self.listen(server)
        connections, begun = agent._dialer.open_connections, Deferred[None]()
        add = connections.add

        def noticed(transport: Abortable) -> None:
            add(transport)
            if not begun.called:
                begun.callback(None)

        # To look every now and then would be to come too late for some of them.
        self.patch(connections, "add", noticed)
        running = self.many(agent, "under-way", 20)
        await begun
        self.trust_in("B")
        self.show("B")
        agent.reload_trust()
        await gatherResults(running)
        self.assertEqual(Counter(server.arrived)["B", "/under-way"], 20)


@attrs.frozen
class AskingCertificate(Certificate):
    """
    A certificate whose server wants one of the client as well.

    @ivar authority: who must have issued it.
    @ivar required: whether the server goes on without.
    @ivar seen: the names in each chain that was shown.
    """

    authority: Authority = attrs.field(kw_only=True)
    required: bool = True
    seen: list[list[str]] = attrs.field(factory=list)

    def context_factory(self) -> IOpenSSLContextFactory:
        """
        Make the TLS settings of the server.
        """
        factory = super().context_factory()
        context = factory.getContext()
        store = context.get_cert_store()
        assert store is not None
        store.add_cert(crypto.X509.from_cryptography(self.authority.certificate))
        mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if self.required else 0)
        context.set_verify(mode, lambda *found: bool(found[-1]))
        context.set_session_id(b"asking")
        return factory


class NotingServer(RawServer):
    """
    A server that notes the chain of each client.
    """

    def __init__(self, seen: list[list[str]]) -> None:
        super().__init__(ANSWER, closes=False)
        self._seen = seen

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        Have the chain looked at when something arrives, which is after the handshake.
        """
        peer: Any = super().buildProtocol(addr)
        hear = peer.dataReceived

        def note(data: bytes) -> None:
            connection = peer.transport.getHandle()
            # On the server's side OpenSSL's chain is without the first (SSL_get_peer_cert_chain(3)).
            leaf, above = connection.get_peer_certificate(), connection.get_peer_cert_chain()
            chain = [] if leaf is None else [leaf, *above]
            self._seen.append([common_name(one.to_cryptography().subject) for one in chain])
            hear(data)

        peer.dataReceived = note
        return peer  # type: ignore[no-any-return]


class ClientCertificateTests(ReloadCase):
    """
    What servers see that ask for a certificate.
    """

    def setUp(self) -> None:
        """
        Make ours, below an intermediate one.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)
        self.own = Path(self.mktemp())
        self.own_is("first.example")

    def own_is(self, name: str) -> None:
        """
        Write our certificate.
        """
        between = self.roots["C"].below(f"above {name}")
        ours = between.below(name, authority=False)
        self.own.write_bytes(ours.pem + between.pem + ours.key_pem)

    def ask_for_one(self, *, required: bool = True, name: str = "ex.com") -> list[list[str]]:
        """
        Start the server.

        @return: fills with what it sees.
        """
        made = self.roots["A"].server(name)
        asking = AskingCertificate(
            made.certificate_pem, made.private_key_pem, authority=self.roots["C"], required=required
        )
        self.federation.listen_tls(EX, 8448, NotingServer(asking.seen), asking)
        return asking.seen

    async def test_the_whole_chain_is_shown(self) -> None:
        """
        A server that requires a certificate gets ours, and what leads from it to its root.
        """
        seen = self.ask_for_one()
        await self.send(self.agent(client_certificate=self.own))
        self.assertEqual(seen, [["first.example", "above first.example"]])

    async def test_after_a_reload(self) -> None:
        """
        After the reload it gets the new one.
        """
        seen, agent = self.ask_for_one(), self.agent(client_certificate=self.own)
        await self.send(agent)
        self.own_is("second.example")
        agent.reload_trust()
        await self.send(agent)
        self.assertEqual([chain[0] for chain in seen], ["first.example", "second.example"])

    async def test_watched(self) -> None:
        """
        A new one is noticed.
        """
        seen, agent = self.ask_for_one(), self.agent(client_certificate=self.own, watch_interval=0.01)
        before = agent._trust.generation
        self.own_is("second.example")
        await until(lambda: agent._trust.generation is not before)
        await self.send(agent)
        self.assertEqual([chain[0] for chain in seen], ["second.example"])

    async def test_none_is_configured(self) -> None:
        """
        A server that asks gets none, and may go on without.
        """
        seen = self.ask_for_one(required=False)
        await self.send(self.agent())
        self.assertEqual(seen, [[]])

    async def test_one_is_required_and_none_configured(self) -> None:
        """
        In TLS 1.3 such a server refuses after our side of the handshake is complete.
        """
        seen = self.ask_for_one()
        await self.fails(self.send(self.agent()), ResponseFailed)
        self.assertEqual(seen, [])

    async def test_an_exempt_server(self) -> None:
        """
        Whoever answers for an exempt name is shown it too.
        """
        seen = self.ask_for_one(name="nobody")
        await self.send(self.agent(client_certificate=self.own, exempt_domains=["ex.com"]))
        self.assertEqual([chain[0] for chain in seen], ["first.example"])
