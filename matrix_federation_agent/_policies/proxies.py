"""
Which connections go through a proxy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import attrs

from .._server_name import ServerName
from ..errors import ConfigurationError, InvalidServerName
from .domains import DomainGlobs, read_glob
from .networks import Network, read_network, unmapped
from .proxy_urls import Proxy, read_proxy
from .validation import yes_or_no

if TYPE_CHECKING:
    from .networks import Address

DIRECT = "direct"
"""
Stands for no proxy in a rule.
"""

_EVERYTHING = "*"
_PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_EXCEPTION_VARIABLES = ("no_proxy", "NO_PROXY")
_LOOKS_LIKE_NETWORK = re.compile(r".*[:/].*|(?:.*\.)?[0-9]+")
_LOOKS_LIKE_URL = re.compile(r".*(?:@|//).*", re.DOTALL)


@attrs.frozen
class ProxyRule:
    """
    Where connections to some hosts go.

    @ivar pattern: as it was written: C{*} is every host, a glob the names
        that it covers, a network the literals in it.
    @ivar proxy: L{None} is none.
    @ivar port: of the host; L{None} is every port.
    """

    pattern: str
    proxy: Proxy | None
    port: int | None = None
    _network: Network | None = attrs.field(init=False, repr=False, eq=False)
    _glob: DomainGlobs = attrs.field(init=False, repr=False, eq=False)

    @_network.default
    def _read_network(self) -> Network | None:
        return read_network("rules", self.pattern) if _LOOKS_LIKE_NETWORK.fullmatch(self.pattern) else None

    @_glob.default
    def _read_glob(self) -> DomainGlobs:
        return DomainGlobs.compiled([] if self._network is not None else [read_glob("rules", self.pattern)])

    @classmethod
    def read(cls, value: object) -> ProxyRule:
        """
        Read a pattern and the URL of a proxy, or C{"direct"}.

        @raise ConfigurationError: when it is none.
        """
        if isinstance(value, ProxyRule):
            return value
        # What is not as it should be is not shown: it may be a URL with a password.
        if not isinstance(value, (tuple, list)) or len(value) != 2 or not isinstance(value[0], str):
            raise ConfigurationError.of("rules", "expected pairs of a pattern and a proxy")
        pattern, proxy = value
        if _LOOKS_LIKE_URL.fullmatch(pattern):
            raise ConfigurationError.of("rules", "expected a pattern of hosts, and then the URL of the proxy")
        is_direct = isinstance(proxy, str) and proxy == DIRECT
        return cls(pattern, None if is_direct else read_proxy("rules", proxy))

    def covers(self, host: ServerName, port: int | None) -> bool:
        """
        Tell whether the rule is about a host.
        """
        if self.port is not None and self.port != port:
            return False
        if self.pattern == _EVERYTHING:
            return True
        if host.literal is not None:
            return self._network is not None and _lies_in(host.literal, self._network)
        return self._glob.matching(host.tls_name) is not None


def _lies_in(address: Address, network: Network) -> bool:
    return unmapped(address) in network


def _rules(value: object) -> tuple[ProxyRule, ...]:
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ConfigurationError.of("rules", "expected a list of pairs of a pattern and a proxy")
    return tuple(map(ProxyRule.read, value))


@attrs.frozen
class ProxyPolicy:
    """
    Which connections go through a proxy.

    The rules are asked about the host that a connection goes to: the name
    itself, the delegated one, the target of an SRV record, or the host of a
    C{.well-known} document.

    @ivar rules: pairs of a pattern and a proxy; the first that covers the host
        decides, and where none does, there is no proxy.  A pattern is a glob
        of domains (C{*} alone covers every host, addresses as well) or a
        network, which covers IP literals only: a name that a proxy resolves
        has no address here.  A proxy is a URL, C{http://}, C{https://} or
        C{socks5h://}, with percent-encoded credentials where it wants some,
        or C{"direct"}.
    @ivar resolve_here: whether the names that an C{http} or C{https} proxy is
        to connect to are resolved here, and the address policy is asked about
        their addresses.
    @raise ConfigurationError: when a setting is not usable.
    """

    rules: tuple[ProxyRule, ...] = attrs.field(default=(), converter=_rules)
    resolve_here: bool = attrs.field(default=False, validator=yes_or_no)

    def proxy_for(self, host: ServerName, port: int | None = None) -> Proxy | None:
        """
        Decide how to connect to a host.

        @param port: for rules from the environment that name one.
        @return: the proxy, or L{None} for none.
        """
        return next((rule.proxy for rule in self.rules if rule.covers(host, port)), None)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, resolve_here: bool = False) -> ProxyPolicy:
        """
        Read the variables that other programs obey: C{https_proxy} or else
        C{all_proxy}, and C{no_proxy}; lower case wins, and what is empty is
        not set.

        A proxy without a scheme is an C{http} one.  C{no_proxy} has hosts,
        each for its subdomains as well, with or without a leading dot;
        addresses; networks; C{host:port}; globs; or C{*}; between commas or
        spaces.

        @param environ: as C{os.environ}.
        @raise ConfigurationError: when a variable is not usable.
        """
        name = next((name for name in _PROXY_VARIABLES if environ.get(name)), None)
        if name is None:
            return cls((), resolve_here)
        url = environ[name]
        proxy = read_proxy(name, url if "://" in url else f"http://{url}")
        exceptions = next((environ[one] for one in _EXCEPTION_VARIABLES if environ.get(one)), "")
        direct = [rule for entry in re.split(r"[,\s]+", exceptions) if entry for rule in _exceptions(entry)]
        return cls((*direct, ProxyRule(_EVERYTHING, proxy)), resolve_here)


def _exceptions(entry: str) -> list[ProxyRule]:
    """
    Read an entry of C{no_proxy}.
    """
    try:
        host, port = _split(entry)
        if "*" in host or _LOOKS_LIKE_NETWORK.fullmatch(host):
            return [ProxyRule(host, None, port)]
        if "_" in host:
            return []  # Frequent in such lists, but no server name has one.
        name = host.strip(".")
        return [ProxyRule(name, None, port), ProxyRule(f"*.{name}", None, port)]
    except ConfigurationError as error:
        raise ConfigurationError.of("no_proxy", error.reason.removeprefix("rules: ")) from error


def _split(entry: str) -> tuple[str, int | None]:
    """
    Take C{host:port} and C{[address]:port} apart; whatever else there is
    stays whole.
    """
    try:
        name = ServerName.parse(entry)
    except InvalidServerName:
        return entry, None
    return name.host, name.port
