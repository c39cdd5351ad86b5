"""
The parts of a gateway, put together as its configuration says.
"""

from __future__ import annotations

import stat
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.logger import Logger

from .._agent import MatrixFederationAgent
from .._discovery.name_servers import NameServerResolver
from ..errors import ConfigurationError
from ..stores import RedisStore, SQLiteStore
from ..stores._redis import PREFIX
from .factory import GatewayFactory
from .forwarder import Forwarder
from .secret import Secret
from .service import GatewayService

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamServerEndpoint

    from .._reactor import IReactor
    from ..stores import IDiscoveryStore
    from .configuration import Configuration
    from .surroundings import StoreSettings

_log = Logger()

_MAX_PASSWORD = 4096


def gateway_service(
    reactor: IReactor, configuration: Configuration, make: type[GatewayService] = GatewayService
) -> GatewayService:
    """
    Make the service.

    @param make: its class.
    @raise ConfigurationError: when a file or an endpoint cannot be used.
    """
    load = partial(load_secret, configuration.entrance.secret_file)
    secret = load()
    endpoints = [(text, server_endpoint(reactor, text)) for text in configuration.entrance.listen]
    agent = make_agent(reactor, configuration)
    forwarder = Forwarder(reactor, agent, secret, configuration.gateway)
    return make(reactor, endpoints, agent, forwarder, GatewayFactory(reactor, forwarder), load)


def make_agent(reactor: IReactor, configuration: Configuration) -> MatrixFederationAgent:
    """
    Make the agent.

    @raise ConfigurationError: when a file of trust, or the store, cannot be
        used.
    """
    servers = configuration.name_servers.servers
    return MatrixFederationAgent.new(
        reactor,
        trust=configuration.trust,
        addresses=configuration.addresses,
        discovery=configuration.discovery,
        connections=configuration.connections,
        proxies=configuration.proxies,
        resolver=NameServerResolver(reactor, servers) if servers else None,
        store=open_store(reactor, configuration.store),
    )


def load_secret(path: str) -> Secret:
    """
    Read the secret, and warn when everybody can.

    @raise ConfigurationError: when it cannot be used.
    """
    secret = Secret.load(path)
    _warn_of_readers("the secret", path)
    return secret


def _warn_of_readers(what: str, path: str) -> None:
    # It was there a moment ago.
    with suppress(OSError):
        if Path(path).stat().st_mode & stat.S_IROTH:
            _log.warn("every user of this host can read {what} in {path}: chmod o= helps", what=what, path=path)


def server_endpoint(reactor: IReactor, description: str) -> IStreamServerEndpoint:
    """
    Read where to listen.

    @raise ConfigurationError: when the description is none.
    """
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    except Exception as error:
        missing = description.startswith("systemd:") and isinstance(error, LookupError)
        words = "systemd has handed over no such socket" if missing else _words(error)
        raise ConfigurationError.of("listen", f"{description!r} is no server endpoint: {words}") from error
    return endpoint


def open_store(reactor: IReactor, settings: StoreSettings) -> IDiscoveryStore | None:
    """
    Open the store.

    @raise ConfigurationError: when it cannot be used.
    """
    if settings.sqlite is not None:
        return SQLiteStore(reactor, _place_of_file(settings.sqlite), settings.sqlite_limit)
    return None if settings.redis is None else _redis(reactor, settings.redis, settings)


def _place_of_file(path: str) -> str:
    """
    Check where a file is, or is to be made: the store itself would only warn,
    and that with the first request.
    """
    place = Path(path)
    if place.is_dir():
        raise ConfigurationError.of("sqlite", f"{path!r} is a folder")
    if not place.parent.is_dir():
        raise ConfigurationError.of("sqlite", f"there is no folder {str(place.parent)!r}")
    return path


def _redis(reactor: IReactor, description: str, settings: StoreSettings) -> RedisStore:
    password = None if settings.redis_password_file is None else _password(settings.redis_password_file)
    try:
        endpoint = clientFromString(reactor, description)
    except Exception as error:
        raise ConfigurationError.of("redis", f"{description!r} is no client endpoint: {_words(error)}") from error
    try:
        return RedisStore(
            reactor,
            endpoint,
            database=settings.redis_database,
            username=settings.redis_username,
            password=password,
            prefix=settings.redis_prefix or PREFIX,
        )
    except ImportError as error:
        reason = f"it needs pip install 'matrix_federation_agent[redis]': {error}"
        raise ConfigurationError.of("redis", reason) from error


def _password(path: str) -> str:
    """
    Read the password in a file; the end of its line does not count.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            # Enough to tell that there is too much.
            password = file.read(_MAX_PASSWORD + 2).removesuffix("\n")
    except (OSError, ValueError) as error:
        # Of what is no UTF-8, the text of the error would show a part.
        reason = f"{path!r} cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}"
        raise ConfigurationError.of("redis_password_file", reason) from error
    if not password:
        raise ConfigurationError.of("redis_password_file", f"what {path!r} holds is empty")
    if len(password) > _MAX_PASSWORD:
        raise ConfigurationError.of(
            "redis_password_file", f"what {path!r} holds is longer than {_MAX_PASSWORD} characters"
        )
    _warn_of_readers("the password", path)
    return password


def _words(error: Exception) -> str:
    """
    Tell what a parser of endpoints raised, which may be anything.
    """
    return f"{type(error).__name__}: {error}"
