"""
Whom we trust: one OpenSSL context for all connections, until the roots are
read again.

A context is expensive (a megabyte, and the parsing of every root) and, since
pyOpenSSL 26.2, frozen once it was used.  So one context serves every
connection of a trust generation; whatever differs between connections is set
on the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from OpenSSL import SSL, crypto
from twisted.logger import Logger

from .._counters import TLS, Counters
from ..errors import ConfigurationError
from .checked import check
from .client_certificate import ClientCertificate
from .files import Marks, marks
from .log_list import LogList
from .roots import doubts, read_roots, system_has_roots
from .sessions import SessionCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.x509 import Certificate

    from .._policies import TrustPolicy

_log = Logger()

_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


@attrs.define(eq=False)
class TrustGeneration:
    """
    The roots that were read at one time, and the policy that named them.

    @ivar context: shared by every connection of this generation.
    @ivar has_roots: whether there is any root at all; without, no certificate
        can be verified, and errors say so.
    @ivar sessions: those that were made under these roots.
    @ivar roots: those of C{ca_files}; the system's are known to OpenSSL only.
    @ivar client: what is shown to servers that ask, if anything.
    @ivar files: what the files looked like just before they were read.
    @ivar logs: the Certificate Transparency logs that count, or L{None} where
        nothing is to be judged by them.
    @ivar retired: whether there is a newer generation.
    """

    policy: TrustPolicy
    context: SSL.Context = attrs.field(repr=False)
    has_roots: bool
    sessions: SessionCache = attrs.field(repr=False)
    roots: tuple[Certificate, ...] = attrs.field(default=(), repr=False)
    client: ClientCertificate | None = attrs.field(default=None, repr=False)
    files: Marks = attrs.field(default=(), repr=False)
    logs: LogList | None = attrs.field(default=None, repr=False)
    retired: bool = False

    @classmethod
    def load(cls, policy: TrustPolicy) -> TrustGeneration:
        """
        Read the files that a policy names.

        @raise ConfigurationError: when one cannot be used.
        """
        # Looked at before they are read: a change in between is then noticed.
        files = marks(named_files(policy))
        context = _strict_context(policy)
        certificates = read_roots(policy.ca_files)
        client = ClientCertificate.read(policy)
        if client is not None:
            client.show_in(context)
        store = context.get_cert_store()
        if store is None:
            raise ConfigurationError.of("ca_files", "OpenSSL has no certificate store")
        for certificate in certificates:
            store.add_cert(crypto.X509.from_cryptography(certificate))
        if policy.use_system_roots:
            context.set_default_verify_paths()
        system = policy.use_system_roots and system_has_roots()
        sessions = SessionCache(policy.max_sessions, policy.max_session_bytes)
        has_roots = bool(certificates) or system
        logs = None if policy.ct_log_list is None else LogList.read(policy.ct_log_list)
        return cls(policy, context, has_roots, sessions, tuple(certificates), client, files, logs)

    def announce(self, now: float) -> None:
        """
        Log what cannot be used of what was read.

        @param now: in seconds since the epoch.
        """
        for doubt in doubts(self.roots, now):
            _log.warn("ca_files: {doubt}", doubt=doubt)
        expired = None if self.client is None else self.client.doubt(now)
        if expired is not None:
            _log.warn("client_certificate: {doubt}", doubt=expired)


def named_files(policy: TrustPolicy) -> tuple[str, ...]:
    """
    List the files and directories that a policy names.
    """
    single = (policy.client_certificate, policy.client_key, policy.ct_log_list)
    return (*policy.ca_files, *(path for path in single if path is not None))


class Trust:
    """
    The trust generation of now, and its succession.
    """

    def __init__(self, generation: TrustGeneration, counters: Counters | None = None) -> None:
        """
        @param generation: the first one.
        @param counters: counts generations, and files that brought none.
        """
        self._generation = generation
        self._counters = Counters() if counters is None else counters
        self._subscribers: list[Callable[[], object]] = []

    @property
    def generation(self) -> TrustGeneration:
        """
        What new connections are verified by.
        """
        return self._generation

    def reload(self) -> None:
        """
        Read the files of the policy again; whatever is wrong with them, the
        roots of before stay.

        @raise ConfigurationError: when a file cannot be used.
        """
        try:
            generation = TrustGeneration.load(self._generation.policy)
        except ConfigurationError:
            self.note_failure()
            raise
        self.succeed(generation)

    def note_failure(self) -> None:
        """
        Count files that could not be used.
        """
        self._counters.add(f"{TLS}.reload_failures")

    def succeed(self, generation: TrustGeneration) -> None:
        """
        Let a new generation take over.
        """
        self._generation.retired = True
        # A connection may hold the old generation for long.
        generation.sessions.succeed(self._generation.sessions)
        self._generation = generation
        self._counters.add(f"{TLS}.reloads")
        system = " and those of the system" if generation.policy.use_system_roots else ""
        count = len(generation.roots)
        _log.info("the trusted roots were replaced: now {roots} of ca_files{system}", roots=count, system=system)
        for subscriber in self._subscribers:
            subscriber()

    def subscribe(self, subscriber: Callable[[], object]) -> None:
        """
        Have a callable called whenever a generation has taken over.
        """
        self._subscribers.append(subscriber)


def _strict_context(policy: TrustPolicy) -> SSL.Context:
    """
    Make a context that verifies by default, so that a connection whose own
    check were forgotten is refused.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(_VERSIONS[policy.minimum_tls])
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, check)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    # OpenSSL keeps no sessions: which may be resumed is decided in sessions.py.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # Idle connections are many: 34 KiB less for each (SSL_CTX_set_mode(3)).
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    return context
