"""
Whether Certificate Transparency logs vouch for a certificate (RFC 6962).

A log that was shown a certificate before it was issued signs a promise to
publish it: a signed certificate timestamp (SCT).  Those that are embedded in
the certificate itself (section 3.3) are judged here, from what is at hand:
nobody is asked.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Literal

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509.certificate_transparency import LogEntryType, SignatureAlgorithm, Version

from .contents import printable

if TYPE_CHECKING:
    from cryptography.x509.certificate_transparency import SignedCertificateTimestamp
    from OpenSSL.crypto import X509

    from .log_list import Log, LogList

MAX_SCTS = 16
"""
SCTs of a certificate that are looked at.  Certificates carry two or three;
each costs the check of a signature.
"""

MIN_RSA_BITS = 2048
"""
The smallest RSA key of a log (RFC 6962, section 2.1.4).
"""

_NAME_LENGTH = 64
_LISTED = 8
_EPOCH = datetime.fromtimestamp(0, UTC)

Verdict = Literal[
    "valid",
    "the log is not in the list",
    "the list does not say whether the log may be relied on",
    "the log is pending",
    "the log was rejected",
    "the log had been retired before",
    "the log does not take certificates that expire then",
    "its time lies in the future",
    "its kind of signature is not supported",
    "its signature is wrong",
]
"""
Why a timestamp counts, or why not.
"""


@attrs.frozen
class SCTOutcome:
    """
    What became of one signed certificate timestamp.

    @ivar log_id: of the log that it claims to be of.
    @ivar log: the name of that log, or its ID in hexadecimal where the list
        does not have it.
    @ivar operator: who runs the log, or L{None} where the list does not have
        it.
    @ivar timestamp: when the log was shown the certificate; L{None} where
        that is beyond the year 9999.
    """

    log_id: bytes = attrs.field(repr=False)
    log: str
    operator: str | None
    timestamp: datetime | None
    verdict: Verdict

    def __str__(self) -> str:
        operator = "" if self.operator is None else f" ({_text(self.operator)})"
        return f"{_text(self.log)}{operator}: {self.verdict}"


@attrs.frozen
class TransparencyOutcome:
    """
    What is known of a certificate's transparency.

    @ivar scts: those that were looked at, in the order of the certificate.
    @ivar problem: why there are none, or not all, or L{None}.
    """

    scts: tuple[SCTOutcome, ...]
    problem: str | None = None

    @property
    def valid_logs(self) -> int:
        """
        How many logs vouch for the certificate, each counted once.
        """
        return len({sct.log_id for sct in self.scts if sct.verdict == "valid"})

    def __str__(self) -> str:
        more = len(self.scts) - _LISTED
        said = [*map(str, self.scts[:_LISTED]), f"and {more} more" if more > 0 else "", self.problem or ""]
        count = f"valid SCTs of {self.valid_logs} log{'' if self.valid_logs == 1 else 's'}"
        return "; ".join([count, *filter(None, said)])


def judge(certificate: X509, issuer: X509 | None, log_list: LogList, now: float) -> TransparencyOutcome:
    """
    Judge the SCTs that are embedded in a certificate.

    Whatever is wrong with them is in the outcome; nothing is ever raised.

    @param issuer: whose key signed the certificate, or L{None} where that is
        not known.
    @param now: in seconds since the epoch.
    """
    if issuer is None:
        return TransparencyOutcome((), "the certificate's issuer is not known")
    try:
        with warnings.catch_warnings():
            # What cryptography thinks of a remote's certificate is no warning
            # for whoever runs this.
            warnings.simplefilter("ignore")
            return _judged(certificate.to_cryptography(), issuer.to_cryptography(), log_list, now)
    except x509.ExtensionNotFound:
        return TransparencyOutcome((), "the certificate has no embedded SCTs")
    except BaseException as error:  # noqa: BLE001 (what cannot be read vouches for nothing, whatever it is)
        return TransparencyOutcome((), f"the certificate's SCTs cannot be read ({type(error).__name__})")


def _judged(
    certificate: x509.Certificate, issuer: x509.Certificate, log_list: LogList, now: float
) -> TransparencyOutcome:
    kind = x509.PrecertificateSignedCertificateTimestamps
    embedded = certificate.extensions.get_extension_for_class(kind).value
    judgement = _Judgement(log_list, certificate.not_valid_after_utc, now, _precertificate(certificate, issuer))
    scts = tuple(judgement.outcome(sct) for sct in islice(embedded, MAX_SCTS))
    if not scts:
        return TransparencyOutcome((), "the certificate's list of SCTs is empty")
    unread = len(embedded) - len(scts)
    return TransparencyOutcome(scts, f"{unread} more SCTs were not looked at" if unread else None)


def _precertificate(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """
    Encode what a log was shown: C{PreCert} of RFC 6962, section 3.2.
    """
    key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(key).digest() + _opaque(certificate.tbs_precertificate_bytes, 3)


@attrs.frozen
class _Judgement:
    """
    What counts for every SCT of one certificate.

    @ivar expiry: when the certificate expires.
    @ivar precertificate: what the logs were shown.
    """

    log_list: LogList
    expiry: datetime
    now: float
    precertificate: bytes

    def outcome(self, sct: SignedCertificateTimestamp) -> SCTOutcome:
        """
        Judge one SCT.
        """
        timestamp = _timestamp(sct)
        log = self.log_list.get(sct.log_id)
        if log is None:
            unknown: Verdict = "the log is not in the list"
            return SCTOutcome(sct.log_id, sct.log_id.hex(), None, timestamp, unknown)
        return SCTOutcome(log.log_id, log.description, log.operator, timestamp, self._verdict(log, sct, timestamp))

    def _verdict(self, log: Log, sct: SignedCertificateTimestamp, timestamp: datetime | None) -> Verdict:
        if timestamp is None or timestamp.timestamp() > self.now:
            return "its time lies in the future"
        if log.interval is not None and self.expiry not in log.interval:
            return "the log does not take certificates that expire then"
        return _state_objection(log, timestamp) or _signature_verdict(log, sct, self._signed(sct, timestamp))

    def _signed(self, sct: SignedCertificateTimestamp, timestamp: datetime) -> bytes:
        """
        Encode what the log signed: the C{digitally-signed} structure of RFC
        6962, section 3.2, with a C{signature_type} of certificate_timestamp.
        """
        milliseconds = (timestamp - _EPOCH) // timedelta(milliseconds=1)
        return b"".join(
            (
                Version.v1.value.to_bytes(1),
                b"\x00",
                milliseconds.to_bytes(8),
                LogEntryType.PRE_CERTIFICATE.value.to_bytes(2),
                self.precertificate,
                _opaque(sct.extension_bytes, 2),
            )
        )


def _state_objection(log: Log, timestamp: datetime) -> Verdict | None:
    """
    Find what speaks against a log.
    """
    match log.state:
        case "usable" | "qualified" | "readonly":
            return None
        case "retired":
            before = log.retired_at is not None and timestamp < log.retired_at
            return None if before else "the log had been retired before"
        case "pending":
            return "the log is pending"
        case "rejected":
            return "the log was rejected"
        case _:
            return "the list does not say whether the log may be relied on"


def _signature_verdict(log: Log, sct: SignedCertificateTimestamp, signed: bytes) -> Verdict:
    """
    Check the signature of a log, of the two kinds that there are (RFC 6962,
    section 2.1.4).
    """
    if not isinstance(sct.signature_hash_algorithm, SHA256):
        return "its kind of signature is not supported"
    try:
        match load_der_public_key(log.key), sct.signature_algorithm:
            case EllipticCurvePublicKey(curve=SECP256R1()) as key, SignatureAlgorithm.ECDSA:
                key.verify(sct.signature, signed, ECDSA(SHA256()))
            case RSAPublicKey(key_size=bits) as key, SignatureAlgorithm.RSA if bits >= MIN_RSA_BITS:
                key.verify(sct.signature, signed, PKCS1v15(), SHA256())
            case _:
                return "its kind of signature is not supported"
    except InvalidSignature:
        return "its signature is wrong"
    except (UnsupportedAlgorithm, ValueError):
        # cryptography does not know the key.
        return "its kind of signature is not supported"
    return "valid"


def _timestamp(sct: SignedCertificateTimestamp) -> datetime | None:
    """
    Read when an SCT was made.
    """
    try:
        return sct.timestamp.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        # 64 bits of milliseconds go further than datetime does.
        return None


def _opaque(content: bytes, size: int) -> bytes:
    """
    Encode bytes after their length (RFC 8446, section 3.4).

    @param size: of the length, in bytes.
    """
    return len(content).to_bytes(size) + content


def _text(name: str) -> str:
    return printable(name)[:_NAME_LENGTH]
