"""
A federation in a box: names, certificates, C{.well-known} documents and homeservers on loopback.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IResolver
from twisted.internet.protocol import Factory, Protocol

from .. import AddressPolicy, MatrixFederationAgent, TrustPolicy
from .._discovery.name_servers import NameServerResolver
from .._reactor import IReactor
from ._addresses import DOCUMENTATION_RANGES, canonical, free_addresses, private_addresses
from ._certificates import Certificate, Certificates
from ._faults import Fault, afflict
from ._homeserver import VirtualServer
from ._hostnames import ZoneHostnameResolver
from ._name_server import NameServer
from ._network import VirtualNetwork
from ._placement import Placement, place
from ._reactor import LoopbackReactor
from ._staging import homeserver_certificate, well_known_certificate, well_known_document
from ._web import site
from ._well_known import WellKnownHost

_HTTPS_PORT = 443


class LoopbackFederation(VirtualNetwork):
    """
    A Matrix federation whose servers listen on 127.0.0.1, and believe themselves elsewhere.

    Virtual addresses come from L{DOCUMENTATION_RANGES}; those in 192.0.2.0/24 are left to the caller.

    @ivar name_server: the DNS.
    @ivar certificates: issues certificates, good and bad.
    @ivar trust: trusts this federation's root and no other.
    @ivar addresses: permits L{DOCUMENTATION_RANGES}.
    """

    def __init__(self, reactor: LoopbackReactor, name_server: NameServer, directory: Path) -> None:
        """
        Join the parts; L{new} makes them.

        @param reactor: the reactor of the virtual addresses.
        @param name_server: a name server that listens.
        @param directory: a directory of this federation's own, which L{stop} removes.
        """
        super().__init__(reactor)
        self.name_server = name_server
        self.certificates = Certificates()
        root = directory / "root.pem"
        root.write_bytes(self.certificates.root_pem)
        self.trust = TrustPolicy(ca_files=[str(root)], use_system_roots=False)
        self.addresses = AddressPolicy(allow=DOCUMENTATION_RANGES)
        self._directory = directory
        self._servers: dict[tuple[str, int], VirtualServer] = {}
        self._agents: list[MatrixFederationAgent] = []
        self._free = free_addresses()
        self._private = private_addresses()

    @classmethod
    def new(cls, reactor: IReactor) -> LoopbackFederation:
        """
        Make a federation without servers; its name server listens at once.

        @param reactor: the real reactor.
        @raise CannotListenError: when the loopback interface has no free port.
        """
        name_server = NameServer.new(reactor)
        virtual = LoopbackReactor(reactor, ZoneHostnameResolver(name_server))
        virtual.allow_direct(*name_server.address)
        return cls(virtual, name_server, Path(tempfile.mkdtemp(prefix="loopback-federation-")))

    def resolver(self) -> IResolver:
        """
        Make a resolver that asks L{name_server} and nobody else.
        """
        return NameServerResolver(self.reactor, [self.name_server.address])

    def agent(self, **overrides: Any) -> MatrixFederationAgent:
        """
        Make an agent of this federation, which L{stop} closes.

        @param overrides: settings of L{MatrixFederationAgent.new}, beside or instead of C{trust}, C{addresses}
            and C{resolver}.
        """
        settings = {"trust": self.trust, "addresses": self.addresses, **overrides}
        settings.setdefault("resolver", self.resolver())
        agent = MatrixFederationAgent.new(self.reactor, **settings)
        self._agents.append(agent)
        return agent

    def add_server(
        self,
        server_name: str,
        step: str = "6",
        fault: Fault | None = None,
        *,
        delegated_to: str | None = None,
        port: int | None = None,
        address: str | None = None,
        certificate_names: tuple[str, ...] | None = None,
    ) -> VirtualServer:
        """
        Place everything so that a correct agent finds a server by exactly one step of the specification.

        @param server_name: its Matrix name.
        @param step: the step of "Resolving server names": one of L{STEPS}.
        @param fault: what is wrong with it.
        @param delegated_to: the C{m.server} to use, for the steps that have one.
        @param port: the port of the delegation or of the SRV record, for the steps that have one.
        @param address: its virtual address, unless a name settles it.
        @param certificate_names: the names in its certificate, instead of the right one.
        @return: the server.
        @raise ValueError: when the arguments do not fit together, or its place is taken.
        """
        if fault is Fault.PRIVATE_ADDRESS:
            address = next(self._private)
        sound = place(server_name, step, self._allocate, delegated_to=delegated_to, port=port, address=address)
        placement = afflict(sound, fault)
        server = VirtualServer(
            server_name, placement.address, placement.port, placement.host, placement.identity, step, fault
        )
        names = certificate_names or (placement.identity,)
        self._start(server, homeserver_certificate(self.certificates, fault, names))
        self._publish(placement, fault)
        document = well_known_document(placement, fault)
        if document is not None:
            self._start_well_known(document, well_known_certificate(self.certificates, fault, document.host))
        return server

    def serve_homeserver(
        self,
        server_name: str,
        address: str,
        port: int,
        *,
        certificate_names: tuple[str, ...] | None = None,
        certificate: Certificate | None = None,
    ) -> VirtualServer:
        """
        Place a homeserver alone; the DNS is not touched.

        @param server_name: its Matrix name, which its key object carries.
        @param address: its virtual address.
        @param port: its virtual port.
        @param certificate_names: the names in its certificate; L{None} for C{server_name}.
        @param certificate: its certificate, instead of a good one.
        @raise ValueError: when its place is taken.
        """
        names = certificate_names or (server_name,)
        server = VirtualServer(server_name, address, port, server_name, names[0])
        self._start(server, certificate or self.certificates.issue(*names))
        return server

    def serve_well_known(
        self,
        host: str,
        body: object,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        address: str | None = None,
        certificate: Certificate | None = None,
    ) -> WellKnownHost:
        """
        Place a C{.well-known} document on port 443 of a host, which enters the DNS unless it is there already.

        @param host: the DNS name.
        @param body: the body: bytes as they are, anything else as JSON.
        @param status: the status code.
        @param headers: further response headers.
        @param address: the virtual address; L{None} for what the DNS says, or a fresh one.
        @param certificate: the certificate; L{None} for a good one. A homeserver that already listens
            there keeps its own.
        @return: the host, whose answer can be changed later.
        @raise ValueError: when its place is taken.
        """
        known = self.name_server.address_of(host)
        document = WellKnownHost(host, address or known or self._allocate(), body, status, headers or {})
        self._start_well_known(document, certificate or self.certificates.issue(host))
        if known is None:
            self.name_server.add_address(host, document.address)
        return document

    def stop(self) -> Deferred[None]:
        """
        Close the agents, every connection, everything that listens, and remove the temporary directory.

        @return: a L{Deferred} that fires when nothing is left in the reactor.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        agents, self._agents = self._agents, []
        try:
            for agent in agents:
                await agent.close()
        finally:
            await self.close_all()
            await self.name_server.stop()
            shutil.rmtree(self._directory, ignore_errors=True)

    def _allocate(self) -> str:
        return next(self._free)

    def _publish(self, placement: Placement, fault: Fault | None) -> None:
        for name, address in placement.names:
            if self.name_server.address_of(name) is None:
                self.name_server.add_address(name, address)
        for service in placement.services:
            self.name_server.add_service(service.owner, service.target, service.port)
        for name in placement.location_names:
            if fault is Fault.DNS_SILENT:
                self.name_server.silence(name)
            elif fault is Fault.DNS_FAILS:
                self.name_server.fail(name)

    def _start(self, server: VirtualServer, certificate: Certificate) -> None:
        place_taken = (canonical(server.address), server.port)
        if server.fault is Fault.BLACK_HOLE:
            self.black_hole(*place_taken)
        elif server.fault is Fault.SILENT_TLS:
            server.listens_by(self.listen_tcp(*place_taken, Factory.forProtocol(Protocol)))
        elif server.fault is not Fault.REFUSED_PORT:
            server.listens_by(self.listen_tls(*place_taken, site(server, self.reactor), certificate))
            self._servers[place_taken] = server

    def _start_well_known(self, document: WellKnownHost, certificate: Certificate) -> None:
        neighbour = self._servers.get((canonical(document.address), _HTTPS_PORT))
        if neighbour is not None:
            neighbour.well_known = document
            return
        self.listen_tls(document.address, _HTTPS_PORT, site(document, self.reactor), certificate)
