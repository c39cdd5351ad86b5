"""
PEM, the text form of certificates and keys (RFC 7468), and where in a file
what is wrong stands.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING

import attrs
from cryptography import x509

if TYPE_CHECKING:
    from collections.abc import Sequence

# RFC 7468, section 3; every label that is in use has capitals, digits and
# spaces only.
_BOUNDARY = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----")
_ALMOST = re.compile(rb"-----\s*(?:BEGIN|END)\b")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# The second is an older spelling of the first, which OpenSSL reads as well.
CERTIFICATE_LABELS = ("CERTIFICATE", "X509 CERTIFICATE")
TRUSTED_LABEL = "TRUSTED CERTIFICATE"


class MalformedPEM(ValueError):
    """
    A text is no PEM, or holds what is no certificate.

    @ivar line: where, counted from one.
    @ivar words: what is wrong.
    """

    def __init__(self, line: int, words: str) -> None:
        super().__init__(f"line {line}: {words}")
        self.line = line
        self.words = words


@attrs.frozen
class Block:
    """
    One encapsulated object.

    @ivar label: what kind of object it is.
    @ivar line: where its BEGIN line stands, counted from one.
    @ivar lines: what stands between BEGIN and END.
    """

    label: str
    line: int
    lines: tuple[bytes, ...] = attrs.field(repr=False)

    @property
    def pem(self) -> bytes:
        """
        The object alone, as text.
        """
        label = self.label.encode("ascii")
        return b"\n".join((b"-----BEGIN %s-----" % label, *self.lines, b"-----END %s-----" % label, b""))


def blocks(content: bytes) -> list[Block]:
    """
    Find every object in a text; whatever stands between them is a comment.

    @raise MalformedPEM: when an object does not end, or ends without having
        begun.
    """
    found: list[Block] = []
    begun: tuple[int, bytes] | None = None
    lines = [line.strip() for line in content.removeprefix(_BYTE_ORDER_MARK).splitlines()]
    for number, line in enumerate(lines, 1):
        boundary = _boundary(number, line)
        if boundary is None:
            continue
        which, label = boundary
        if which == b"BEGIN":
            _require_ended(begun)
            begun = number, label
        elif begun is None or begun[1] != label:
            raise MalformedPEM(number, f"an END line without its BEGIN line ({label.decode('ascii')})")
        else:
            found.append(Block(label.decode("ascii"), begun[0], tuple(lines[begun[0] : number - 1])))
            begun = None
    _require_ended(begun)
    return found


def _boundary(number: int, line: bytes) -> tuple[bytes, bytes] | None:
    """
    Read a BEGIN or END line: which of them it is, and its label.
    """
    matched = _BOUNDARY.fullmatch(line)
    if matched is not None:
        return matched[1], matched[2]
    if _ALMOST.search(line):
        raise MalformedPEM(number, "a BEGIN or END line that is not well-formed")
    return None


def _require_ended(begun: tuple[int, bytes] | None) -> None:
    if begun is not None:
        raise MalformedPEM(begun[0], f"the {begun[1].decode('ascii')} that begins here has no END line")


def certificates(found: Sequence[Block]) -> list[x509.Certificate]:
    """
    Read the certificates among some objects; keys, revocation lists and
    others are left alone.

    @raise MalformedPEM: when one is malformed, or is one of OpenSSL's own
        with trust settings, which would be lost.
    """
    read: list[x509.Certificate] = []
    for block in found:
        if block.label == TRUSTED_LABEL:
            raise MalformedPEM(block.line, f"a {TRUSTED_LABEL} (OpenSSL's own form) is not read; make it a CERTIFICATE")
        if block.label in CERTIFICATE_LABELS:
            read.append(_certificate(block, len(read) + 1))
    return read


def _certificate(block: Block, position: int) -> x509.Certificate:
    """
    Read one certificate.

    @param position: among those of its file, counted from one.
    """
    try:
        der = b64decode(b"".join(block.lines), validate=True)
    except ValueError as error:
        raise MalformedPEM(block.line, f"certificate {position} is malformed: not base64") from error
    try:
        return _parsed(der)
    except (ValueError, x509.InvalidVersion) as error:
        words = f"certificate {position} is malformed: base64, but not the DER of a certificate"
        raise MalformedPEM(block.line, words) from error


def is_der_certificate(content: bytes) -> bool:
    """
    Tell whether a file is a certificate in binary form.
    """
    try:
        _parsed(content)
    except (ValueError, x509.InvalidVersion):
        return False
    return True


def _parsed(der: bytes) -> x509.Certificate:
    certificate = x509.load_der_x509_certificate(der)
    # Read when they are asked for: a certificate whose dates or names cannot
    # be read is to fail here, where its place is known.
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.subject, certificate.issuer
    return certificate
