"""
What a certificate says of itself: bounded, printable, and as much of it as
can be read, whatever it is made of.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypeVar

import attrs
from cryptography import x509
from cryptography.x509 import ExtensionType
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from cryptography.x509 import Extension
    from OpenSSL.crypto import X509

    from .._server_name import ServerName

T = TypeVar("T")
E = TypeVar("E", bound=ExtensionType)

LONGEST_TEXT = 255
"""
Characters that are quoted of one text: a DNS name has no more (RFC 1035,
section 2.3.4).
"""


@attrs.frozen
class Contents:
    """
    What could be read of a certificate.

    @ivar dns_names: of its subjectAltName, in lower case.
    @ivar addresses: of its subjectAltName.
    @ivar common_names: of its subject.
    @ivar subject: as in RFC 4514; empty where it cannot be read.
    @ivar issuer: as C{subject}.
    @ivar issuer_url: where the issuer's own certificate can be had (RFC 5280,
        section 4.2.2.1); empty where it does not say.
    @ivar readable: whether its extensions were read.
    """

    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    common_names: tuple[str, ...] = ()
    subject: str = ""
    issuer: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    issuer_url: str = ""
    readable: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """
        Whom it names.
        """
        return self.dns_names + self.addresses

    def covers(self, name: ServerName) -> bool:
        """
        Tell whether it is for a name, as far as words go: the decision is
        C{service_identity}'s.
        """
        if name.literal is not None:
            return str(name.literal) in self.addresses
        first, _, rest = name.tls_name.partition(".")
        starred = f"*.{rest}" in self.dns_names and not first.startswith("xn--")
        return starred or name.tls_name in self.dns_names


def contents_of(certificate: X509) -> Contents:
    """
    Read a certificate, also one that a remote made to be unreadable.
    """
    with warnings.catch_warnings():
        # What cryptography thinks of a remote's certificate is no warning for
        # whoever runs this.  The filters are those of the whole process: this
        # runs in the reactor's thread only, and awaits nothing.
        warnings.simplefilter("ignore")
        return _readable(lambda: _contents(certificate.to_cryptography()), Contents())


def printable(text: str) -> str:
    """
    Make a text of a remote's fit for a log: ASCII without control characters,
    and not long.
    """
    return text[:LONGEST_TEXT].encode("unicode_escape").decode("ascii")[:LONGEST_TEXT]


def _contents(certificate: x509.Certificate) -> Contents:
    extensions: Iterable[Extension[ExtensionType]] | None = _readable(lambda: certificate.extensions, None)
    alternatives = _extension(extensions or (), x509.SubjectAlternativeName) or ()
    return Contents(
        tuple(printable(name.value.lower()) for name in alternatives if isinstance(name, x509.DNSName)),
        tuple(printable(str(name.value)) for name in alternatives if isinstance(name, x509.IPAddress)),
        _readable(lambda: _common_names(certificate), ()),
        _readable(lambda: printable(certificate.subject.rfc4514_string()), ""),
        _readable(lambda: printable(certificate.issuer.rfc4514_string()), ""),
        _readable(lambda: certificate.not_valid_before_utc, None),
        _readable(lambda: certificate.not_valid_after_utc, None),
        _issuer_url(extensions or ()),
        readable=extensions is not None,
    )


def _extension(extensions: Iterable[Extension[ExtensionType]], kind: type[E]) -> E | None:
    return next((one.value for one in extensions if isinstance(one.value, kind)), None)


def _common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return tuple(printable(str(attribute.value).lower()) for attribute in found)


def _issuer_url(extensions: Iterable[Extension[ExtensionType]]) -> str:
    access = _extension(extensions, x509.AuthorityInformationAccess) or ()
    places = [one for one in access if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS]
    urls = [str(one.access_location.value) for one in places]
    return next((printable(url) for url in urls if url.startswith("http")), "")


def _readable(read: Callable[[], T], otherwise: T) -> T:
    """
    Read something that a remote wrote: cryptography reads late, and then
    raises whatever it finds.
    """
    try:
        return read()
    except Exception:  # noqa: BLE001 (a text for an error, which must not be lost for lack of words)
        return otherwise
