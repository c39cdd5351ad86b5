"""
The gateway as a service: it starts, reads its files again, and ends in order.
"""

from __future__ import annotations

from ipaddress import ip_address
from signal import SIGHUP, SIGINT, SIGTERM
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger

from .._signals import on_signal
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
    from twisted.python.failure import Failure

    from .._agent import MatrixFederationAgent
    from .._reactor import IReactor
    from .factory import GatewayFactory
    from .forwarder import Forwarder
    from .secret import Secret

LOOKS = 0.05
"""
Seconds between two looks at whether the last client is gone.
"""

_PLAIN = (TCP4ServerEndpoint, TCP6ServerEndpoint, AdoptedStreamServerEndpoint)


class GatewayService(Service):
    """
    Serves the clients of a gateway.

    On SIGHUP the files of trust and of the secret are read again.  When it
    stops, it accepts nothing more, waits for what is under way as long as the
    policy says, and closes the agent; SIGTERM or SIGINT while it waits ends
    the waiting.
    """

    name = "matrix-federation-gateway"
    _log = Logger()

    def __init__(
        self,
        reactor: IReactor,
        endpoints: Sequence[tuple[str, IStreamServerEndpoint]],
        agent: MatrixFederationAgent,
        forwarder: Forwarder,
        factory: GatewayFactory,
        load_secret: Callable[[], Secret],
    ) -> None:
        """
        @param endpoints: where to listen, each with what it is called.
        @param load_secret: reads the secret again; may raise
            L{ConfigurationError}.
        """
        self._reactor = reactor
        self._endpoints = endpoints
        self._agent = agent
        self._forwarder = forwarder
        self._factory = factory
        self._load_secret = load_secret
        self._ports: list[IListeningPort] = []
        self._listening: Deferred[None] | None = None
        self._restore: list[Callable[[], None]] = []

    def startService(self) -> None:
        """
        Listen; this must be in the main thread, for the sake of SIGHUP.

        @raise ConfigurationError: when an endpoint says at once that it cannot
            listen.  When one says so later, the reactor is stopped.
        """
        super().startService()  # type: ignore[no-untyped-call]
        self._restore.append(on_signal(self._reactor, SIGHUP, self.reload))
        failures: list[Failure] = []
        listening = self._listening = Deferred.fromCoroutine(self._listen())
        listening.addErrback(failures.append)
        if failures:
            failures[0].raiseException()
        listening.addCallback(self._listened, failures)

    async def _listen(self) -> None:
        for description, endpoint in self._endpoints:
            try:
                port = await endpoint.listen(self._factory)
            except CancelledError:
                raise
            except Exception as error:
                raise ConfigurationError.of("listen", f"{description}: {error}") from error
            self._ports.append(port)
            self._tell(endpoint, port.getHost())

    def _listened(self, _: None, failures: list[Failure]) -> None:
        if failures and not failures[0].check(CancelledError):
            self._log.critical("{reason}", reason=failures[0].getErrorMessage())
            self._reactor.stop()

    def _tell(self, endpoint: IStreamServerEndpoint, address: Any) -> None:
        self._log.info("the gateway listens on {address}", address=_written(address))
        if isinstance(endpoint, _PLAIN) and not _is_local(address):
            self._log.warn(
                "clients send the secret to {address} in clear: let them come by TLS or from this host",
                address=_written(address),
            )

    def reload(self) -> None:
        """
        Read the files of trust and of the secret again.  What cannot be used
        stays as it was before, and the other is taken all the same.
        """
        for name, work in (("trust", self._agent.reload_trust), ("the secret", self._reload_secret)):
            try:
                work()
            except ConfigurationError as error:
                self._log.error("{name} stays as it was: {reason}", name=name, reason=error.reason)
            else:
                self._log.info("{name} was read again", name=name)

    def _reload_secret(self) -> None:
        self._forwarder.secret = self._load_secret()

    def stopService(self) -> Deferred[None]:
        """
        Stop, as the class says.

        @return: fires when all is closed.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        await gatherResults([maybeDeferred(port.stopListening) for port in self._ports])
        try:
            await self._drain()
        finally:
            while self._restore:
                self._restore.pop()()
        self._factory.abort()
        await self._agent.close()
        self._log.info("the gateway has stopped")

    async def _drain(self) -> None:
        """
        Wait for what is under way.
        """
        limit = self._forwarder.policy.drain_timeout
        gone = Deferred.fromCoroutine(self._clients_gone()).addTimeout(limit, self._reactor)
        # To the reactor, which stops already, a further signal is an error.
        self._restore += [on_signal(self._reactor, one, gone.cancel, instead=True) for one in (SIGTERM, SIGINT)]
        try:
            await gone
        except (CancelledError, DeferredTimeoutError):
            number = self._forwarder.under_way()
            self._log.warn("requests that are cut off, for they took too long: {number}", number=number)

    async def _clients_gone(self) -> None:
        self._factory.drain()
        number = self._forwarder.under_way()
        self._log.info("the gateway stops; requests under way: {number}", number=number)
        await self._forwarder.drain()
        # The last bytes of an answer may still be on their way out.
        while self._forwarder.clients.open:
            await deferLater(self._reactor, LOOKS)


def _written(address: object) -> str:
    """
    Write down an address that is listened on.
    """
    if isinstance(address, (IPv4Address, IPv6Address)):
        host = f"[{address.host}]" if isinstance(address, IPv6Address) else address.host
        return f"{host}:{address.port}"
    if isinstance(address, UNIXAddress) and address.name is not None:
        return address.name.decode("utf-8", "backslashreplace")
    return str(address)


def _is_local(address: object) -> bool:
    if isinstance(address, (IPv4Address, IPv6Address)):
        return ip_address(address.host.partition("%")[0]).is_loopback
    return True
