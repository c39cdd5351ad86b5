"""
The demo itself: a federation on this machine, and one agent that asks all of
its servers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, FirstError, gatherResults

from .._policies import ConnectionPolicy, DiscoveryPolicy
from .._reading import pass_on
from .._uri import federation_url
from ..testing import LoopbackFederation
from .outcome import Outcome
from .scenes import scenes

if TYPE_CHECKING:
    from .._agent import MatrixFederationAgent
    from .._reactor import IReactor
    from .._route import Route
    from ..testing import VirtualServer
    from .scenes import Scene

AT_ONCE = 10
"""
Servers that are asked side by side: enough for the silent ones to wait
together, few enough for the milliseconds to mean something.
"""

PATH = "/_matrix/federation/v1/version"

# Seconds. Nothing here is far away; whoever is silent for so long stays so.
_DISCOVERY = DiscoveryPolicy(well_known_timeout=1.5, dns_timeout=1.5)
_CONNECTIONS = ConnectionPolicy(tcp_timeout=1.5, tls_timeout=1.5, response_timeout=3.0)


async def play(reactor: IReactor) -> list[Outcome]:
    """
    Start the federation, ask every server, and stop it.

    @return: what became of each server, in the order of L{scenes}.
    @raise CannotListenError: when this machine has no free port on loopback.
    """
    federation = LoopbackFederation.new(reactor)
    try:
        cast = [(scene, federation.add_server(scene.server_name, scene.step, scene.fault)) for scene in scenes()]
        agent = federation.agent(discovery=_DISCOVERY, connections=_CONNECTIONS)
        few = DeferredSemaphore(AT_ONCE)
        asked = [few.run(_ask_in_turn, reactor, agent, scene, server) for scene, server in cast]
        return await gatherResults(asked, consumeErrors=True)
    except FirstError as error:
        # Nothing but being cancelled: every other end is an outcome.
        error.subFailure.raiseException()
    finally:
        await federation.stop()


def _ask_in_turn(
    reactor: IReactor, agent: MatrixFederationAgent, scene: Scene, server: VirtualServer
) -> Deferred[Outcome]:
    return Deferred.fromCoroutine(_ask(reactor, agent, scene, server))


async def _ask(reactor: IReactor, agent: MatrixFederationAgent, scene: Scene, server: VirtualServer) -> Outcome:
    """
    Ask one server, as any user of the agent would.
    """
    status, error = None, None
    began = reactor.seconds()
    try:
        response = await agent.request(b"GET", federation_url(scene.server_name, PATH))
        await pass_on(response, scene.server_name, len)
        status = response.code
    except CancelledError:
        raise
    except Exception as caught:  # noqa: BLE001 (one that is not expected is an outcome to be shown)
        error = caught
    milliseconds = (reactor.seconds() - began) * 1000
    route = await agent.resolve(scene.server_name)
    differs = scene.expected.differs(status, error) or (_astray(route, server) if error is None else "")
    fault = "" if scene.fault is None else scene.fault.description
    return Outcome(scene.server_name, fault, route, status, error, milliseconds, differs)


def _astray(route: Route, server: VirtualServer) -> str:
    """
    Tell what is wrong with the way on which a server was reached.
    """
    hosts = [request.host for request in server.requests]
    if (route.step, route.tls_name, hosts) == (server.step, server.identity, [server.host]):
        return ""
    return f"expected step {server.step} and Host {server.host}, not step {route.step} and {hosts}"
