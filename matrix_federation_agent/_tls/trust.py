"""
Roots of trust, loaded once into one OpenSSL context.

A context is expensive (a megabyte, and the parsing of every root) and, since
pyOpenSSL 26.2, frozen once it was used.  So one context serves every
connection of a trust generation; whatever differs between connections is set
on the connection.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from cryptography.x509 import load_pem_x509_certificates
from OpenSSL import SSL, crypto

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography.x509 import Certificate

    from .._policies import TrustPolicy

_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}

# Where pyOpenSSL looks for the roots of a Linux system when the OpenSSL that
# it carries has none of its own.
_COMMON_PLACES = (
    "/etc/ssl/certs",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
)


@attrs.frozen(eq=False)
class TrustGeneration:
    """
    The roots that were read at one time, and the policy that named them.

    @ivar context: shared by every connection of this generation.
    @ivar has_roots: whether there is any root at all; without, no certificate
        can be verified, and errors say so.
    """

    policy: TrustPolicy
    context: SSL.Context = attrs.field(repr=False)
    has_roots: bool

    @classmethod
    def load(cls, policy: TrustPolicy) -> TrustGeneration:
        """
        Read the roots that a policy names.

        @raise ConfigurationError: when a file of roots cannot be used.
        """
        context = _strict_context(policy)
        certificates = [root for path in policy.ca_files for root in _read_roots(path)]
        store = context.get_cert_store()
        if store is None:
            raise ConfigurationError.of("ca_files", "OpenSSL has no certificate store")
        for certificate in certificates:
            store.add_cert(crypto.X509.from_cryptography(certificate))
        if policy.use_system_roots:
            context.set_default_verify_paths()
        system = policy.use_system_roots and system_roots_exist(_places(os.environ))
        return cls(policy, context, bool(certificates) or system)


def _strict_context(policy: TrustPolicy) -> SSL.Context:
    """
    Make a context that verifies by default, so that a connection whose own
    check were forgotten is refused.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(_VERSIONS[policy.minimum_tls])
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    # A resumed session skips the certificate check; none is kept.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # Idle connections are many: 34 KiB less for each (SSL_CTX_set_mode(3)).
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    return context


def _read_roots(path: str) -> list[Certificate]:
    """
    Read every certificate in a PEM file.

    @raise ConfigurationError: when the file cannot be read, holds none, or
        holds one that is malformed.
    """
    try:
        return load_pem_x509_certificates(Path(path).read_bytes())
    except OSError as error:
        raise ConfigurationError.of("ca_files", f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError.of("ca_files", f"{path} is no file of PEM certificates") from error


def _places(environ: Mapping[str, str]) -> list[str]:
    """
    List where OpenSSL looks for roots; its environment variables replace its
    defaults (SSL_CTX_set_default_verify_paths(3)).
    """
    named = [environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in environ]
    if named:
        return named
    defaults = ssl.get_default_verify_paths()
    return [defaults.openssl_cafile, defaults.openssl_capath, *_COMMON_PLACES]


def system_roots_exist(places: Iterable[str]) -> bool:
    """
    Tell whether there is a non-empty file or directory in any of the places.
    """
    return any(_is_filled(Path(place)) for place in places)


def _is_filled(path: Path) -> bool:
    try:
        return any(path.iterdir()) if path.is_dir() else path.stat().st_size > 0
    except OSError:
        return False
