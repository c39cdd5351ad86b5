"""
The certificate that we show to servers which ask for one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from OpenSSL import SSL, crypto

from ..errors import ConfigurationError
from .files import read_file
from .pem import Block, MalformedPEM, blocks, certificates, is_der_certificate
from .roots import date_doubt

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from .._policies import TrustPolicy

_CERTIFICATE, _KEY = "client_certificate", "client_key"


@attrs.frozen(eq=False)
class ClientCertificate:
    """
    A certificate, those that lead from it to its root, and its private key.

    @ivar path: the file of the certificate.
    @ivar chain: the certificate itself first.
    """

    path: str
    chain: tuple[Certificate, ...]
    _key: Any = attrs.field(repr=False)

    @classmethod
    def read(cls, policy: TrustPolicy) -> ClientCertificate | None:
        """
        Read the files that a policy names.

        @return: L{None} where it names none.
        @raise ConfigurationError: when they cannot be used.
        """
        if policy.client_certificate is None:
            return None
        path = policy.client_certificate
        chain, keys = _read_chain(path)
        if policy.client_key is None:
            key = _only_key(_CERTIFICATE, path, keys)
        elif keys:
            raise ConfigurationError.of(_KEY, f"{path} holds a private key as well")
        else:
            key = _only_key(_KEY, policy.client_key, _blocks(_KEY, policy.client_key))
        _require_match(chain, key, path, _CERTIFICATE if policy.client_key is None else _KEY)
        return cls(path, tuple(chain), key)

    def doubt(self, now: float) -> str | None:
        """
        Say why servers will not believe it, or return L{None}.

        @param now: in seconds since the epoch.
        """
        words = date_doubt(self.chain[0], datetime.fromtimestamp(now, UTC))
        return None if words is None else f"{self.path} {words}"

    def show_in(self, context: SSL.Context) -> None:
        """
        Have every connection of a context show it when the server asks.

        @raise ConfigurationError: when OpenSSL finds it too weak.
        """
        try:
            self._install(context)
            context.check_privatekey()
        except SSL.Error as error:
            words = ", ".join(str(entry[-1]) for entry in error.args[0]) if error.args else "no reason was given"
            raise ConfigurationError.of(_CERTIFICATE, f"{self.path} is refused by OpenSSL: {words}") from error

    def _install(self, context: SSL.Context) -> None:
        leaf, *above = self.chain
        try:
            context.use_certificate(leaf)
            context.use_privatekey(self._key)
            for certificate in above:
                context.add_extra_chain_cert(certificate)
        except TypeError:
            # pyOpenSSL before 24.3 takes its own classes only; newer warn of them.
            context.use_certificate(crypto.X509.from_cryptography(leaf))
            context.use_privatekey(crypto.PKey.from_cryptography_key(self._key))
            for certificate in above:
                context.add_extra_chain_cert(crypto.X509.from_cryptography(certificate))


def _blocks(setting: str, path: str) -> list[Block]:
    try:
        return blocks(read_file(setting, path))
    except MalformedPEM as error:
        raise ConfigurationError.of(setting, f"{path}, line {error.line}: {error.words}") from error


def _read_chain(path: str) -> tuple[list[Certificate], list[Block]]:
    """
    Read a file of certificates.

    @return: the certificates, and the other objects.
    """
    found = _blocks(_CERTIFICATE, path)
    try:
        chain = certificates(found)
    except MalformedPEM as error:
        raise ConfigurationError.of(_CERTIFICATE, f"{path}, line {error.line}: {error.words}") from error
    if not chain:
        form = "is a certificate in DER; it must be PEM" if _is_der(path) else "holds no PEM certificate"
        raise ConfigurationError.of(_CERTIFICATE, f"{path} {form}")
    return chain, [block for block in found if _is_key(block)]


def _is_der(path: str) -> bool:
    return is_der_certificate(read_file(_CERTIFICATE, path))


def _is_key(block: Block) -> bool:
    return block.label.endswith("PRIVATE KEY")


def _only_key(setting: str, path: str, found: list[Block]) -> Any:
    """
    Read the one private key of a file.  What is wrong with it is said without
    what the libraries say, so that nothing of the key is in an error.
    """
    keys = [block for block in found if _is_key(block)]
    if len(keys) != 1:
        held = f"{len(keys)} private keys" if keys else "no private key in PEM"
        raise ConfigurationError.of(setting, f"{path} holds {held}")
    where = f"{path}, line {keys[0].line}: the private key"
    try:
        return load_pem_private_key(keys[0].pem, None)
    except TypeError:
        words = "is encrypted; there is nobody to ask for its password"
    except UnsupportedAlgorithm:
        words = "is of a kind that is not supported"
    except ValueError:
        words = "is malformed"
    raise ConfigurationError.of(setting, f"{where} {words}") from None


def _require_match(chain: list[Certificate], key: Any, path: str, setting: str) -> None:
    """
    Check that the first certificate is the key's.
    """
    matching = [number for number, certificate in enumerate(chain, 1) if _is_key_of(certificate, key)]
    if not matching:
        raise ConfigurationError.of(setting, f"the private key does not belong to the certificate in {path}")
    if matching[0] != 1:
        words = f"certificate {matching[0]} of {path} is the one of the private key, and must be the first"
        raise ConfigurationError.of(_CERTIFICATE, words)


def _is_key_of(certificate: Certificate, key: Any) -> bool:
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    try:
        public: bytes = certificate.public_key().public_bytes(*form)
        own: bytes = key.public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return public == own
