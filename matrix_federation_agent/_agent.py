"""
The front door, and the only module that knows all the others.
"""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING

import attrs
from hyperlink import EncodedURL
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent
from zope.interface import implementer

from ._connect.destination import FEDERATION, Destination, https_host_header
from ._connect.dialer import Dialer
from ._connect.exchange import Exchange
from ._connect.inspection import inspected
from ._connect.outcomes import Outcomes
from ._connect.pool import ConnectionPool
from ._connect.requests import RequestWriter, require_method
from ._counters import Counters
from ._discovery.answers import NameService
from ._discovery.hosts import HostLookup, address_queries
from ._discovery.hosts_file import HostsFile
from ._discovery.name_servers import NameServerResolver
from ._discovery.remembering import IPV4, IPV6, Remembering
from ._discovery.resolution import Discovery
from ._discovery.resolv_conf import SystemNameServers
from ._discovery.srv import ServiceLookup, service_query
from ._discovery.well_known import WellKnownFetcher
from ._policies import AddressPolicy, ConnectionPolicy, DiscoveryPolicy, ProxyPolicy, TrustPolicy
from ._route import LocatedTarget, Route
from ._server_name import ServerName
from ._tls.trust import Trust, TrustGeneration
from ._tls.watching import TrustWatch
from ._uri import FEDERATION_SCHEMES, CheckedURI, parse_uri
from ._version import __version__
from .errors import AgentClosed, FederationError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    from twisted.internet.interfaces import (
        IHostnameResolver,
        IProtocol,
        IProtocolFactory,
        IReactorTime,
        IResolver,
    )
    from twisted.python.failure import Failure
    from twisted.web.iweb import IBodyProducer, IResponse

    from ._connect.lane import Connections
    from ._discovery.remembering import Known
    from ._discovery.routing import Target
    from ._identity import Identity
    from ._reactor import IReactor
    from ._route import Step

    T = TypeVar("T")

USER_AGENT = b"matrix_federation_agent/" + __version__.encode("ascii")


@implementer(IAgent)
class MatrixFederationAgent:
    """
    Sends HTTP requests to Matrix servers by their names.

    C{matrix-federation://name/path} (and the older C{matrix://}) goes where
    the server called C{name} really lives, over a connection on which it
    proved by its certificate that it is the right one; C{https://} is an
    ordinary request under the same trust and address policies.

    Two agents share nothing.

    @ivar counters: of what discovery did, and of how TLS handshakes ended.
    """

    def __init__(
        self,
        discovery: Discovery,
        remembering: Remembering,
        dialer: Dialer,
        pool: ConnectionPool,
        trust: Trust,
        watch: TrustWatch,
        user_agent: bytes,
        counters: Counters,
    ) -> None:
        """
        Most callers want L{new}.

        @param user_agent: sent where the caller's headers have none.
        """
        self._discovery = discovery
        self._remembering = remembering
        self.counters = counters
        self._dialer = dialer
        self._pool = pool
        self._writer = RequestWriter(user_agent)
        self._trust = trust
        self._watch = watch
        trust.subscribe(pool.retire)
        discovery.subscribe(pool.retire_destination)
        trust.subscribe(dialer.outcomes.exemptions.forget)
        self._running: set[Deferred[Any]] = set()
        self._closed = False
        watch.start()

    @classmethod
    def new(
        cls,
        reactor: IReactor,
        *,
        trust: TrustPolicy | None = None,
        addresses: AddressPolicy | None = None,
        discovery: DiscoveryPolicy | None = None,
        connections: ConnectionPolicy | None = None,
        proxies: ProxyPolicy | None = None,
        resolver: IResolver | None = None,
        hostnames: IHostnameResolver | None = None,
        store: Any = None,
        counters: Counters | None = None,
        user_agent: bytes = USER_AGENT,
    ) -> MatrixFederationAgent:
        """
        Make an agent.

        @param trust: whose certificates are believed.
        @param addresses: which addresses may be connected to.
        @param discovery: how servers are found.
        @param connections: how connections are made and kept.
        @param proxies: which connections go through a proxy; by default none.
        @param resolver: asked for SRV records, and for addresses after the
            hosts file.  By default the name servers of resolv.conf are.
        @param hostnames: asked for addresses instead, as
            C{reactor.nameResolver}, where nsswitch is needed; that one sends
            every lookup through a few threads.
        @param store: an C{IDiscoveryStore} that keeps what discovery learns;
            closed with the agent.
        @param counters: counts what discovery does and how TLS handshakes
            end; several agents may count together.
        @param user_agent: the product that is named to other servers.
        @raise ConfigurationError: when a file of roots, or of the client
            certificate, cannot be used.
        """
        discovery_policy = discovery or DiscoveryPolicy()
        policy = connections or ConnectionPolicy()
        asked = resolver or NameServerResolver(reactor, SystemNameServers())
        rng = SystemRandom()
        counted = Counters() if counters is None else counters
        remembering = Remembering(reactor, discovery_policy, rng, store, counted)
        names = NameService(reactor, discovery_policy)
        ipv6, ipv4 = address_queries(asked)
        addresses_known = (remembering.addresses(IPV6, names, ipv6), remembering.addresses(IPV4, names, ipv4))
        hosts_file = HostsFile(reactor, discovery_policy.dns_timeout)
        hosts = HostLookup(reactor, addresses_known, hostnames, discovery_policy.dns_timeout, hosts_file)
        trusted, watch = _watched_trust(reactor, trust or TrustPolicy(), counted)
        permitted, through = addresses or AddressPolicy(), proxies or ProxyPolicy()
        dialer = Dialer(reactor, trusted, permitted, policy, hosts, proxies=through, outcomes=Outcomes(counted))
        pool = ConnectionPool(reactor, dialer, policy, counted)
        dialer.room.make = pool.make_room
        limit = policy.max_head_bytes + discovery_policy.well_known_max_bytes
        # A delegation is fetched once a day, when a session is of no use any more.
        fetching = dialer.without_sessions()
        fetcher = WellKnownFetcher(
            reactor, lambda: Exchange(reactor, fetching, policy, user_agent, limit, pool.slots), discovery_policy
        )
        services = ServiceLookup(remembering.services(names, service_query(asked)))
        found = Discovery(remembering.delegations(fetcher.fetch), services, discovery_policy, rng)
        return cls(found, remembering, dialer, pool, trusted, watch, user_agent, counted)

    def request(
        self,
        method: bytes,
        uri: bytes | EncodedURL,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        Send a request.

        @param uri: bytes, or what L{federation_url
            <matrix_federation_agent.federation_url>} made.  Path and query
            reach the server byte for byte.
        @param headers: never changed; C{Host} is always ours.
        @return: fires with the response once its head has arrived; fails with
            a L{FederationError <matrix_federation_agent.errors.FederationError>},
            or with C{CancelledError} when it is cancelled.
        """
        return self._run(self._request(method, uri, headers, bodyProducer))

    def resolve(self, server_name: ServerName | bytes | str) -> Deferred[Route]:
        """
        Explain where a name leads, without connecting to the server.

        @return: fires with the route, also when it leads nowhere: then it has
            a C{failure}.
        @raise InvalidServerName: (in the Deferred) when the name is none.
        """
        return self._run(self._resolve(server_name))

    def check(self, server_name: ServerName | bytes | str) -> Deferred[Route]:
        """
        Look at the TLS of a server: make a connection to every address that
        it has, verify it as any other, and end it without a request.

        @return: fires with the route, as L{resolve} does; its targets have
            C{inspections}.  As many targets and addresses are looked at as a
            request would try.
        @raise InvalidServerName: (in the Deferred) when the name is none.
        """
        return self._run(self._check(server_name))

    def endpoint(self, server_name: ServerName | bytes | str) -> IStreamClientEndpoint:
        """
        Make a stream endpoint: connected, it is a verified TLS connection to
        the server.

        @raise InvalidServerName: when the name is none.
        """
        return DiscoveredEndpoint(self, _named(server_name))

    def connect(self, server_name: ServerName | bytes | str, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Open a verified TLS connection to a server, for another protocol than
        HTTP.

        @return: fires with what the factory built; what that or the factory
            raises meanwhile is what it fails with.
        @raise InvalidServerName: (in the Deferred) when the name is none.
        """
        return self._run(self._connect(server_name, factory))

    def forget(self, server_name: ServerName | bytes | str | None = None) -> None:
        """
        Drop what is remembered about one server, or about all.

        @raise InvalidServerName: when the name is none.
        """
        self._remembering.forget(None if server_name is None else self._discovery.hosts_of(_named(server_name)))

    def connections(self) -> list[Connections]:
        """
        List the destinations to which there are connections, or requests that
        wait for one; those of other protocols than HTTP are not among them.
        """
        return self._pool.status()

    def known(self, server_name: ServerName | bytes | str | None = None) -> list[Known]:
        """
        List what is remembered.

        @param server_name: of this server only; what its host and the name it
            delegates to are known for.
        @raise InvalidServerName: when the name is none.
        """
        hosts = None if server_name is None else self._discovery.hosts_of(_named(server_name))
        return self._remembering.known(hosts)

    def reload_trust(self) -> None:
        """
        Read again the files that the trust policy names, at once: with the
        roots of a system that takes some 30 milliseconds.  New connections
        are verified by what they say now; idle ones and TLS sessions are
        dropped; requests that are under way go on.  A closed agent reads
        nothing.

        @raise ConfigurationError: when a file cannot be used; then everything
            is as before.
        """
        if not self._closed:
            self._trust.reload()

    def close(self) -> Deferred[None]:
        """
        End what is under way and close every connection.

        @return: fires when nothing is left in the reactor.
        """
        return Deferred.fromCoroutine(self._close())

    @property
    def clock(self) -> IReactorTime:
        """
        What its limits of time go by: the reactor that it was made with.
        """
        return self._pool.clock

    async def _close(self) -> None:
        self._closed = True
        for running in list(self._running):
            running.cancel()
        self._remembering.end_lookups()
        self._pool.close()
        await self._dialer.open_connections.abort()
        await self._watch.stop()
        await self._remembering.close()

    def _run(self, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        """
        Run a coroutine until it ends or the agent is closed.
        """
        if self._closed:
            work.close()
            return fail(AgentClosed(""))
        running = Deferred.fromCoroutine(work)
        self._running.add(running)
        return running.addBoth(self._ended, running)

    def _ended(self, result: T | Failure, running: Deferred[Any]) -> T | Failure:
        self._running.discard(running)
        return result

    async def _request(
        self, method: bytes, uri: bytes | EncodedURL, headers: Headers | None, body: IBodyProducer | None
    ) -> IResponse:
        asked = uri.to_text().encode("utf-8") if isinstance(uri, EncodedURL) else uri
        parsed = asked.parsed if isinstance(asked, CheckedURI) else parse_uri(asked)
        require_method(method, str(parsed.authority))
        if parsed.scheme in FEDERATION_SCHEMES:
            identity = await self._discovery.who(parsed.authority)
            destination = Destination.of(FEDERATION, identity, self._where)
            host = identity.effective.host_header
        else:
            destination, host = Destination.of_https(parsed.authority), https_host_header(parsed.authority)
        written = self._writer.written(destination.asked, host, method, asked, parsed.target, headers, body)
        return await self._pool.request(destination, written)

    def _where(self, identity: Identity) -> Coroutine[Deferred[Any], Any, list[Target]]:
        return self._discovery.where(identity, [])

    async def _connect(self, server_name: ServerName | bytes | str, factory: IProtocolFactory) -> IProtocol:
        identity = await self._discovery.who(_named(server_name))
        return await self._dialer.connect(identity, await self._discovery.where(identity, []), factory)

    async def _resolve(self, server_name: ServerName | bytes | str) -> Route:
        return await self._explained(await self._discovery.who(_named(server_name)))

    async def _check(self, server_name: ServerName | bytes | str) -> Route:
        identity = await self._discovery.who(_named(server_name))
        route = await self._explained(identity)
        return attrs.evolve(route, targets=await inspected(self._dialer, identity, route.targets))

    async def _explained(self, identity: Identity) -> Route:
        """
        Find where a server listens, and keep how that was found.
        """
        steps: list[Step] = [] if identity.step is None else [identity.step]
        try:
            targets = await self._discovery.where(identity, steps)
        except FederationError as error:
            return Route(identity.server_name, identity.effective, tuple(steps), failure=error)
        located = [await self._locate(identity, target) for target in targets]
        return Route(identity.server_name, identity.effective, tuple(steps), tuple(located))

    async def _locate(self, identity: Identity, target: Target) -> LocatedTarget:
        """
        Find the addresses of a target, and what the policies say of them.
        """
        found = await self._dialer.candidates(identity, target)
        proxy = None if found.proxy is None else str(found.proxy)
        shown = [(one, None if one is None else str(one)) for one in found.dialled]
        rules = [(text, rule) for one, text in shown if (rule := self._dialer.exemption(identity, target, one))]
        return LocatedTarget(target, tuple(map(str, found.permitted)), found.refused, tuple(rules), proxy=proxy)


def _named(server_name: ServerName | bytes | str) -> ServerName:
    return server_name if isinstance(server_name, ServerName) else ServerName.parse(server_name)


def _watched_trust(reactor: IReactor, policy: TrustPolicy, counters: Counters) -> tuple[Trust, TrustWatch]:
    """
    Read the files of a trust policy, and make what looks at them from then
    on.
    """
    trust = Trust(TrustGeneration.load(policy), counters)
    trust.subscribe(lambda: trust.generation.announce(reactor.seconds()))
    trust.generation.announce(reactor.seconds())
    return trust, TrustWatch(reactor, trust)


@implementer(IStreamClientEndpoint)
@attrs.frozen
class DiscoveredEndpoint:
    """
    A Matrix server as a stream endpoint.
    """

    _agent: MatrixFederationAgent = attrs.field(repr=False)
    server_name: ServerName

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Find the server, connect, and verify its certificate.

        @return: fires with the protocol; fails with a C{FederationError}.
        """
        return self._agent.connect(self.server_name, protocolFactory)
