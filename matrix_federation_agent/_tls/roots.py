"""
Roots of trust, read from files.
"""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from .files import MAX_FILES, certificate_paths, read_file, unreadable
from .pem import MalformedPEM, blocks, certificates, is_der_certificate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cryptography.x509 import Certificate

_SETTING = "ca_files"
_LISTED_DOUBTS = 10

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
    Read every certificate in every file, and in every file of every
    directory; each root once.

    @raise ConfigurationError: when a file or a directory cannot be used.
    """
    found = [root for path in paths for root in _read_path(path)]
    return list(dict.fromkeys(found))


def _read_path(path: str) -> list[Certificate]:
    try:
        is_directory = Path(path).is_dir()
    except (OSError, ValueError) as error:
        raise unreadable(_SETTING, path, error) from error
    return _read_directory(path) if is_directory else _read_named_file(path)


def _read_named_file(path: str) -> list[Certificate]:
    """
    Read a file of which somebody said that it holds roots.
    """
    found, others = _read_file(path)
    if not found:
        held = f"holds {' and '.join(others)}, but no certificate" if others else "holds no PEM certificate"
        raise ConfigurationError.of(_SETTING, f"{path} {held}")
    return found


def _read_directory(path: str) -> list[Certificate]:
    """
    Read the files of a directory; those that hold no certificate do not
    matter, as long as any other does.
    """
    try:
        names = certificate_paths(path)
    except OSError as error:
        raise unreadable(_SETTING, path, error) from error
    if len(names) > MAX_FILES:
        raise ConfigurationError.of(_SETTING, f"{path} holds more than {MAX_FILES} files of certificates")
    found = [root for name in names for root in _read_file(name)[0]]
    if not found:
        raise ConfigurationError.of(_SETTING, f"{path} is a directory without PEM certificates")
    return found


def _read_file(path: str) -> tuple[list[Certificate], list[str]]:
    """
    Read every certificate in a file.

    @return: the certificates, and the kinds of what else there is.
    """
    content = read_file(_SETTING, path)
    try:
        found = blocks(content)
        read = certificates(found)
    except MalformedPEM as error:
        raise ConfigurationError.of(_SETTING, f"{path}, line {error.line}: {error.words}") from error
    if not found and is_der_certificate(content):
        raise ConfigurationError.of(_SETTING, f"{path} is a certificate in DER; it must be PEM (openssl x509)")
    return read, sorted({f"a {block.label}" for block in found})


def doubts(roots: Sequence[Certificate], now: float) -> list[str]:
    """
    Say which roots are of no use, and why: what they were to vouch for will
    be refused.

    @param now: in seconds since the epoch.
    """
    moment = datetime.fromtimestamp(now, UTC)
    said = [f"{_named(root)} {words}" for root in roots if (words := _doubt(root, moment))]
    more = len(said) - _LISTED_DOUBTS
    return [*said[:_LISTED_DOUBTS], f"and {more} more"] if more > 0 else said


def _doubt(root: Certificate, moment: datetime) -> str | None:
    if root.subject != root.issuer:
        # OpenSSL ends a chain at a self-signed certificate only.
        return "is no root: it counts only where the root above it is trusted as well"
    return date_doubt(root, moment)


def date_doubt(certificate: Certificate, moment: datetime) -> str | None:
    """
    Say why a certificate is not valid at a moment, or return L{None} where it
    is.
    """
    if moment > certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if moment < certificate.not_valid_before_utc:
        return f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    return None


def _named(root: Certificate) -> str:
    return f"{root.subject.rfc4514_string()[:200]!r}"


def system_has_roots() -> bool:
    """
    Tell whether OpenSSL finds any roots of the system.
    """
    return system_roots_exist(_places(os.environ))


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
