"""
What is wrong with a chain of certificates, in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from .contents import Contents

REASONS: Mapping[int, str] = {
    1: "OpenSSL could not say why",
    4: "its signature cannot be read",
    6: "the public key of its issuer cannot be read",
    7: "its signature is wrong: it was changed, or signed by another of the issuer's name",
    13: "the beginning of its validity is malformed",
    14: "the end of its validity is malformed",
    17: "OpenSSL ran out of memory",
    22: "its chain is too long",
    23: "it was revoked",
    24: "its issuer has no public key",
    25: "it allows fewer intermediate certificates below it than there are",
    26: "it was not issued for TLS servers",
    27: "its root is not trusted for TLS servers",
    28: "its root is marked as rejected",
    29: "its issuer has another name than it says",
    30: "its issuer has another key than it says (key identifiers differ)",
    31: "its issuer has another serial number than it says",
    32: "its key may not sign certificates (keyUsage), but did",
    34: "it has a critical extension that is unknown here",
    37: "it is marked as an authority in one place and not in another",
    38: "it allows fewer proxy certificates",
    39: "its key may not sign (keyUsage without digitalSignature)",
    40: "it is a proxy certificate",
    41: "its extensions are malformed or contradict each other",
    42: "its certificate policies are malformed or contradict each other",
    43: "it has no policy that its chain demands",
    45: "it has an extension of a form that is unknown here",
    46: "it claims more address ranges than its issuer has",
    47: "the authority above it may not issue for this name (permitted names)",
    48: "the authority above it may not issue for this name (excluded names)",
    49: "its name constraints have a minimum or maximum",
    50: "a check of the application failed",
    51: "its name constraints are of a kind that is unknown here",
    52: "its name constraints are malformed",
    53: "it has a name that is malformed",
    55: "its chain goes round in a circle",
    62: "it is for another name",
    64: "it is for another address",
    65: "no TLSA record fits it",
    66: "its key is too weak",
    67: "the key of this authority is too weak",
    68: "it was signed with a weak digest",
    69: "OpenSSL was not set up to verify",
    70: "OpenSSL failed to look for its issuer",
    71: "too few signed certificate timestamps came with it",
    72: "it is a proxy certificate whose subject is not its issuer's",
    76: "its signature algorithm is unknown here",
    77: "its signature algorithm does not fit the key of its issuer",
    78: "it names two different signature algorithms",
    79: "it may not issue certificates, but did",
    80: "it limits a path of authorities, but is none",
    81: "it limits a path of authorities, but its key may not sign certificates",
    82: "its key may sign certificates, but it is no authority",
    83: "the name of its issuer is empty",
    84: "its subject is empty",
    85: "it has no authority key identifier",
    86: "it has no subject key identifier",
    87: "its subjectAltName is empty",
    88: "its subject is empty, and its subjectAltName not critical",
    89: "it is an authority, but its basic constraints are not critical",
    90: "its authority key identifier is critical",
    91: "its subject key identifier is critical",
    92: "it is an authority without a key usage",
    93: "it has extensions, but is not of version 3",
    94: "its key has elliptic-curve parameters of its own",
    95: "it is a bare public key that is not trusted",
    102: "its authority key identifier is empty",
    103: "its authority key identifier has an issuer without a serial number, or the reverse",
}
"""
OpenSSL's X509_V_ERR_* (x509_vfy.h) that a TLS client can meet; pyOpenSSL has
no public function for its texts.  Those that L{_WORDED} words are missing.
"""


@attrs.frozen
class ChainFault:
    """
    What OpenSSL found.

    @ivar code: its number for the error.
    @ivar depth: the place of the certificate in the chain.
    @ivar contents: what that certificate says.
    @ivar sent: all certificates that the server sent.
    @ivar now: the time by the clock here.
    """

    code: int
    depth: int
    contents: Contents
    sent: tuple[Contents, ...]
    now: datetime

    @property
    def words(self) -> str:
        """
        Why it was refused.
        """
        worded = _WORDED.get(self.code)
        return worded(self) if worded else REASONS.get(self.code, f"OpenSSL verification error {self.code}")


def _not_yet_valid(fault: ChainFault) -> str:
    begin = fault.contents.not_before
    words = f"it is not valid before {_minute(begin)}" if begin else "it is not yet valid"
    words += f", and here it is {_minute(fault.now)}"
    # Nobody serves a chain whose authority does not exist yet; it is rather
    # our own clock that is wrong.
    return f"{words}: is the clock here right?" if fault.depth else words


def _expired(fault: ChainFault) -> str:
    end = fault.contents.not_after
    words = f"it expired on {_minute(end)}" if end else "it has expired"
    return f"{words}, and here it is {_minute(fault.now)}"


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _self_signed(_: ChainFault) -> str:
    return "it is self-signed and not among the trusted roots"


def _unknown_root(fault: ChainFault) -> str:
    root = fault.contents.subject
    return f"the server sent its whole chain, which ends in a root that is not trusted: {root}"


def _untrusted_above_trusted(fault: ChainFault) -> str:
    """
    OpenSSL found the certificate among our roots, and it is none.
    """
    return f"it is among the trusted roots, but is none itself: its issuer, {fault.contents.issuer}, is not among them"


def _incomplete(fault: ChainFault) -> str:
    """
    The server proves nothing to which a trusted root could be joined.  What
    was not sent cannot be known: say what it probably is, and why.
    """
    issuer = fault.contents.issuer
    if not fault.contents.readable:
        # OpenSSL looks for no issuer of what it cannot read; cryptography
        # reads less than OpenSSL.
        return "no issuer was found for it: its extensions are malformed, or its chain is incomplete"
    others = [one for one in fault.sent if one != fault.contents]
    if any(one.subject == issuer for one in others):
        return f"the server sent a certificate of its issuer, {issuer}, but a malformed one or that of another key"
    words = f"the certificate of its issuer, {issuer}, was not sent and is no trusted root"
    if fault.depth:
        return f"{words}: it is probably a root that is not trusted here, or one more intermediate certificate"
    if fault.contents.issuer_url:
        missing = "the server probably did not send this intermediate certificate, which is published at"
        return f"{words}: {missing} {fault.contents.issuer_url}"
    return f"{words}: it is an intermediate certificate that the server must send, or a private root"


_WORDED: Mapping[int, Callable[[ChainFault], str]] = {
    2: _untrusted_above_trusted,
    9: _not_yet_valid,
    10: _expired,
    18: _self_signed,
    19: _unknown_root,
    20: _incomplete,
    21: _incomplete,
}
