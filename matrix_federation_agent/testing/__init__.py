"""
A Matrix federation in a box, for anybody's test suite.

Real sockets, real DNS, real TLS, all of it on 127.0.0.1 and without a fixed port. Servers have made-up
addresses and stand on their real ports, so that what is tested is exactly what runs::

    from twisted.internet import reactor
    from twisted.trial.unittest import TestCase
    from treq import content

    from matrix_federation_agent.testing import LoopbackFederation

    class MyTests(TestCase):
        def setUp(self):
            self.federation = LoopbackFederation.new(reactor)
            self.addCleanup(self.federation.stop)

        async def test_delegation(self):
            server = self.federation.add_server("example.org", step="3.2", delegated_to="matrix.example.org:443")
            agent = self.federation.agent()
            uri = b"matrix-federation://example.org/_matrix/federation/v1/version"
            response = await agent.request(b"GET", uri)
            self.assertIn(b"LoopbackFederation", await content(response))
            self.assertEqual(server.requests[0].host, "matrix.example.org:443")

Any other client can be tested too, when it takes its reactor as an argument: L{LoopbackFederation.reactor} resolves
and connects. It needs the extra C{testing}.
"""

from ._addresses import DOCUMENTATION_RANGES
from ._certificates import Certificate, Certificates
from ._faults import Fault
from ._federation import LoopbackFederation
from ._homeserver import VirtualServer
from ._name_server import NameServer
from ._placement import STEPS
from ._reactor import LoopbackReactor
from ._received import ReceivedRequest
from ._well_known import WellKnownHost

__all__ = [
    "DOCUMENTATION_RANGES",
    "STEPS",
    "Certificate",
    "Certificates",
    "Fault",
    "LoopbackFederation",
    "LoopbackReactor",
    "NameServer",
    "ReceivedRequest",
    "VirtualServer",
    "WellKnownHost",
]
