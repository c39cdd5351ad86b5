"""
Roots of trust, read from files.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.x509 import load_pem_x509_certificates

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography.x509 import Certificate

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


def read_roots(paths: Iterable[str]) -> list[Certificate]:
    """
    Read every certificate in every file.

    @raise ConfigurationError: when a file cannot be used.
    """
    return [root for path in paths for root in _read_file(path)]


def system_has_roots() -> bool:
    """
    Tell whether OpenSSL finds any roots of the system.
    """
    return system_roots_exist(_places(os.environ))


def _read_file(path: str) -> list[Certificate]:
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
