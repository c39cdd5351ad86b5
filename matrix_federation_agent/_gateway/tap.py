"""
What C{twist matrix-federation-gateway} runs; the plugin names this module.
"""

from __future__ import annotations

import gc

from .._text import escaped
from ..errors import ConfigurationError
from .assembly import gateway_service
from .options import NAME, GatewayOptions
from .service import GatewayService

Options = GatewayOptions


class GatewayProcess(GatewayService):
    """
    The service of a process that is there for nothing else.
    """

    def startService(self) -> None:
        """
        Listen.

        @raise SystemExit: when that is not possible; says where.
        """
        try:
            super().startService()
        except ConfigurationError as error:
            raise _unusable(error) from error
        # What is there by now stays: full collections, which pause every request, need not look at it.
        gc.collect()
        gc.freeze()


def makeService(options: GatewayOptions) -> GatewayService:
    """
    Make the service that C{twist} starts.

    @raise SystemExit: when a file or an endpoint cannot be used; says which.
    """
    # IServiceMaker hands over no reactor; by now twist has installed its own.
    from twisted.internet import reactor  # noqa: PLC0415 (it would be installed by whoever looks for options)

    configuration = options.configuration
    try:
        return gateway_service(reactor, configuration, GatewayProcess)
    except ConfigurationError as error:
        raise _unusable(configuration.choices.explained(error)) from error


def _unusable(error: ConfigurationError) -> SystemExit:
    """
    End the process with a line on standard error, and status 1.
    """
    return SystemExit(f"{NAME}: {escaped(error.reason)}")
