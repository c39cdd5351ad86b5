"""
What is wrong with a certificate, as an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import CertificateRejected
from .contents import Contents, printable
from .remedies import Mismatch

if TYPE_CHECKING:
    from .._identity import Identity
    from .reasons import ChainFault
    from .transparency import TransparencyOutcome

LISTED_NAMES = 10
"""
How many names of a certificate an error holds.
"""

NO_ROOTS = "no trusted root is known: this system has none installed, and no ca_files are set"


def chain_objection(identity: Identity, fault: ChainFault, *, has_roots: bool) -> CertificateRejected:
    """
    Say in words why OpenSSL refused.

    @param has_roots: whether any root is trusted at all.
    """
    contents = fault.contents
    words = fault.words if has_roots else f"{fault.words}; {NO_ROOTS}"
    whose = (
        f"{contents.subject}, certificate {fault.depth} of the chain" if fault.depth else f"names {_listed(contents)}"
    )
    return _rejected(identity, f"{words} ({whose}; {_issued(contents)})", contents, fault.depth, fault.code)


def identity_objection(mismatch: Mismatch, error: Exception) -> CertificateRejected:
    """
    Say whom a certificate names instead of whom it must name.

    @param error: what C{service_identity} said.
    """
    contents = mismatch.contents
    if not contents.readable or contents.covers(mismatch.identity.effective):
        # A single bad entry spoils the good ones.
        words = f"its names cannot be used: {type(error).__name__}: {printable(str(error))}"
    else:
        words = f"it must name {mismatch.wanted}, but names {_listed(contents)}"
        words = "; ".join(filter(None, (words, mismatch.remedy)))
    rejection = _rejected(mismatch.identity, f"{words} ({_issued(contents)})", contents, 0)
    rejection.__cause__ = error
    return rejection


def transparency_objection(
    identity: Identity, contents: Contents, outcome: TransparencyOutcome, required: int
) -> CertificateRejected:
    """
    Say that too few Certificate Transparency logs vouch for a certificate.

    @param required: valid SCTs of so many logs.
    """
    words = f"it needs valid SCTs of {required} log{'' if required == 1 else 's'}, but has {outcome}"
    return _rejected(identity, f"{words} ({_issued(contents)})", contents, 0)


def failed_check(identity: Identity, error: BaseException, depth: int) -> CertificateRejected:
    """
    Refuse a certificate because the check itself failed.
    """
    rejection = _rejected(identity, f"the check failed with {type(error).__name__}", Contents(), depth)
    rejection.__cause__ = error
    return rejection


def _rejected(
    identity: Identity, words: str, contents: Contents, depth: int, code: int | None = None
) -> CertificateRejected:
    return CertificateRejected(
        identity.asked,
        f"certificate rejected: {words}",
        depth=depth,
        code=code,
        names=contents.names[:LISTED_NAMES],
        subject=contents.subject,
        issuer=contents.issuer,
        not_before=contents.not_before,
        not_after=contents.not_after,
    )


def _listed(contents: Contents) -> str:
    """
    List whom a certificate names.
    """
    names = contents.names
    if not contents.readable:
        return "nobody who can be read"
    if not names:
        return "nobody: it has no usable subjectAltName"
    more = len(names) - LISTED_NAMES
    return ", ".join(names[:LISTED_NAMES]) + (f", and {more} more" if more > 0 else "")


def _issued(contents: Contents) -> str:
    return f"issued by {contents.issuer}" if contents.issuer else "its issuer cannot be read"
