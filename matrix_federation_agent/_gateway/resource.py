"""
The gateway as a resource of C{twisted.web}, for those who run a site already.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from .._uri import FEDERATION_SCHEMES, HTTPS
from .answers import Answer
from .forwarder import Forwarder
from .head import RequestHead
from .rendering import Rendering, send_answer
from .secret import Secret

if TYPE_CHECKING:
    from twisted.web.server import Request

    from .._agent import MatrixFederationAgent
    from .._policies import GatewayPolicy

# RFC 3986, section 3.1: schemes are compared without case.
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://")


@implementer(IResource)
class FederationGateway:
    """
    Forwards requests whose target is a C{matrix-federation://} URI.  It has
    to be the root of its site::

        Site(FederationGateway(agent, b"the secret"))

    A site gives a request to a resource once all of its body was received,
    and puts no limit on heads, bodies and connections: its clients have to be
    trusted with that.  Of L{GatewayPolicy
    <matrix_federation_agent.gateway.GatewayPolicy>} this has
    C{allow_https}, C{max_requests}, C{max_requests_per_destination},
    C{max_body_bytes} (looked at when the body is there), C{response_timeout},
    C{write_timeout}, C{retry_after}, C{withheld_headers} and
    C{show_server_names}.

    @ivar forwarder: what decides, counts and logs; its C{secret} and its
        C{policy} may be replaced, and its C{drain} has the gateway forward
        nothing more.
    """

    isLeaf = False

    def __init__(
        self,
        agent: MatrixFederationAgent,
        secret: Secret | bytes | str,
        policy: GatewayPolicy | None = None,
        otherwise: IResource | None = None,
    ) -> None:
        """
        @param agent: sends the requests; who made it closes it.
        @param secret: what clients must know.
        @param otherwise: the root of everything that is not for the gateway;
            without it, the gateway's own pages are there.
        @raise ConfigurationError: when the secret is none.
        """
        if isinstance(secret, str):
            # What is not ASCII is refused then.
            secret = secret.encode("utf-8")
        known = secret if isinstance(secret, Secret) else Secret.of(secret)
        self.forwarder = Forwarder(agent.clock, agent, known, policy)
        self._forwarding = _Forwarding(agent, self.forwarder)
        self._otherwise = otherwise

    def getChildWithDefault(self, name: bytes, request: Request) -> IResource:
        """
        Find whom a request is for.
        """
        whose = self._whose(request)
        if whose.isLeaf:
            # It reads the path itself, and all of it.
            request.prepath = (request.prepath or [])[:-1]
            request.postpath = [name, *(request.postpath or ())]
            return whose
        child: IResource = whose.getChildWithDefault(name, request)
        return child

    def putChild(self, path: bytes, child: IResource) -> None:
        """
        Put a resource below C{otherwise}.

        @raise ValueError: when there is none.
        """
        if self._otherwise is None:
            raise ValueError("a gateway that has nothing beside it has no children")
        self._otherwise.putChild(path, child)

    def render(self, request: Request) -> bytes | int:
        """
        Answer a request that has no path left.
        """
        answer: bytes | int = self._whose(request).render(request)
        return answer

    def _whose(self, request: Request) -> IResource:
        if self._otherwise is None or _is_forwarded(request.uri, self.forwarder.policy):
            return self._forwarding
        return self._otherwise


def _is_forwarded(uri: bytes, policy: GatewayPolicy) -> bool:
    """
    Tell whether a target is one that the gateway is there for.
    """
    found = _SCHEME.match(uri)
    if found is None:
        return False
    scheme = found[1].lower()
    return scheme in FEDERATION_SCHEMES or (scheme == HTTPS and policy.allow_https)


class _Forwarding(Resource):
    """
    Answers whatever it is given.
    """

    isLeaf = True

    def __init__(self, agent: MatrixFederationAgent, forwarder: Forwarder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._agent = agent
        self._forwarder = forwarder

    def render(self, request: Request) -> int:
        """
        Begin; the answer comes when it is there.
        """
        fields = {name.lower(): values for name, values in request.requestHeaders.getAllRawHeaders()}
        minor = 0 if request.clientproto == b"HTTP/1.0" else 1
        head = RequestHead(request.method, request.uri, minor, fields)
        taken = self._forwarder.receive(head, _peer(request.getClientAddress()))
        if isinstance(taken, Answer):
            send_answer(request, taken)
        else:
            rendering = Rendering(self._agent.clock, self._forwarder.policy, request, taken)
            Deferred.fromCoroutine(rendering.run())
        return NOT_DONE_YET


def _peer(address: IAddress) -> str:
    """
    Write who asks, for the log.
    """
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    return "unix" if host is None else f"{host}:{port}"
