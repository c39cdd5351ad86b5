"""
Tests of C{matrix_federation_agent._tls.transparency}.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import crypto

from matrix_federation_agent._tls.log_list import Log, LogList
from matrix_federation_agent._tls.transparency import MAX_SCTS, SCTOutcome, TransparencyOutcome, judge
from tests.case import TestCase

from .logs import (
    BEGIN,
    END,
    LOGGED,
    Authority,
    Promise,
    SigningLog,
    encoded,
    generated,
    log_list,
    octet_string,
    sct_list,
)

hostile = settings(deadline=None, database=None, derandomize=True, max_examples=200)

NOW = BEGIN + timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)


loaded = crypto.X509.from_cryptography


def interval(start: datetime, end: datetime) -> dict[str, str]:
    """
    Describe when certificates expire that a log takes.
    """
    return {"start_inclusive": start.isoformat(), "end_exclusive": end.isoformat()}


def made(authority: Authority, log: SigningLog) -> bytes:
    """
    Make an SCT for a certificate of an authority.
    """
    return log.promise(authority.precertificate())


class JudgeCase(TestCase):
    """
    A test with an authority and a log.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        super().setUp()
        self.authority = Authority()
        self.log = SigningLog()

    def outcome(self, *promises: Promise, entries: tuple[dict[str, object], ...] | None = None) -> TransparencyOutcome:
        """
        Judge a certificate with SCTs.

        @param entries: of the log list; L{None} for the one log.
        """
        return self.judged(self.authority.issue(*promises), entries)

    def judged(
        self, certificate: x509.Certificate, entries: tuple[dict[str, object], ...] | None = None
    ) -> TransparencyOutcome:
        """
        Judge a certificate.
        """
        logs = LogList.parse(log_list(*(entries or (self.log.entry(),))))
        return judge(loaded(certificate), loaded(self.authority.certificate), logs, NOW.timestamp())

    def verdict(self, promise: Promise | None = None, **entry: Any) -> str:
        """
        Judge a certificate with one SCT.

        @param promise: L{None} for the usual one of the log.
        @param entry: the log's in the list.
        """
        (sct,) = self.outcome(promise or self.log.promise, entries=(self.log.entry(**entry),)).scts
        return sct.verdict


class VerdictTests(JudgeCase):
    """
    What counts, and why not.
    """

    def test_valid(self) -> None:
        """
        An SCT of a usable log is valid; its outcome says whose it is, and when it was made, to the millisecond.
        """
        alpha = SCTOutcome(self.log.log_id, "Alpha", "Example", LOGGED, "valid")
        self.assertEqual(self.outcome(self.log.promise), TransparencyOutcome((alpha,), None))

    def test_states(self) -> None:
        """
        The state of the log decides.
        """
        found = {state: self.verdict(state=state) for state in ("usable", "qualified", "readonly", "pending")}
        found["rejected"] = self.verdict(state="rejected")
        found["none"] = self.verdict(state=None)
        self.assertEqual(
            found,
            {
                **dict.fromkeys(("usable", "qualified", "readonly"), "valid"),
                "pending": "the log is pending",
                "rejected": "the log was rejected",
                "none": "the list does not say whether the log may be relied on",
            },
        )

    def test_retired(self) -> None:
        """
        A log that was retired vouches for what it was shown before.
        """
        moments = (LOGGED - MILLISECOND, LOGGED, LOGGED + MILLISECOND)
        found = [self.verdict(state="retired", since=since) for since in moments]
        self.assertEqual(found, [*["the log had been retired before"] * 2, "valid"])

    def test_intervals(self) -> None:
        """
        The certificate must expire in the log's interval: its start counts, its end does not.
        """
        day = timedelta(days=1)
        intervals = ((END - day, END), (END - day, END + MILLISECOND), (END, END + day), (END + MILLISECOND, END + day))
        found = [self.verdict(temporal_interval=interval(start, end)) for start, end in intervals]
        outside = "the log does not take certificates that expire then"
        self.assertEqual(found, [outside, "valid", "valid", outside])

    def test_future(self) -> None:
        """
        An SCT of now is valid, one of the next millisecond is not.
        """
        found = [self.verdict(partial(self.log.promise, moment=moment)) for moment in (NOW, NOW + MILLISECOND)]
        self.assertEqual(found, ["valid", "its time lies in the future"])

    def test_far_future(self) -> None:
        """
        A time that datetime cannot hold lies in the future.
        """
        found = [
            self.outcome(partial(self.log.promise, moment=moment)).scts[0]
            for moment in (253402300800000, 2**63, 2**64 - 1)
        ]
        future = SCTOutcome(self.log.log_id, "Alpha", "Example", None, "its time lies in the future")
        self.assertEqual(found, [future] * 3)

    def test_epoch(self) -> None:
        """
        The first of all moments is no special one.
        """
        self.assertEqual(self.verdict(partial(self.log.promise, moment=0)), "valid")

    def test_unknown_log(self) -> None:
        """
        A log that is not in the list is shown by its ID.
        """
        other = SigningLog()
        self.assertEqual(
            self.outcome(other.promise).scts,
            (SCTOutcome(other.log_id, other.log_id.hex(), None, LOGGED, "the log is not in the list"),),
        )

    def test_extensions_are_signed(self) -> None:
        """
        What a log adds to an SCT is part of what it signs.
        """
        log = SigningLog(extensions=b"\0\1\2")
        self.assertEqual(self.outcome(log.promise, entries=(log.entry(),)).valid_logs, 1)

    def test_order(self) -> None:
        """
        Outcomes have the order of the certificate.
        """
        beta = SigningLog("Beta")
        found = self.outcome(beta.promise, self.log.promise, entries=(self.log.entry(), beta.entry()))
        self.assertEqual([sct.log for sct in found.scts], ["Beta", "Alpha"])


class SignatureTests(JudgeCase):
    """
    What a signature must be of, and by whom.
    """

    def test_another_certificate(self) -> None:
        """
        An SCT for one certificate is wrong in another.
        """
        other = Authority()
        elsewhere = made(other, self.log)
        self.assertEqual(self.verdict(lambda _: elsewhere), "its signature is wrong")

    def test_every_part_is_signed(self) -> None:
        """
        Whichever bit of the time, the extensions or the signature is changed, the SCT does not count.
        """
        log = SigningLog(extensions=b"abc")

        def valid(place: int) -> int:
            def changed(precertificate: bytes) -> bytes:
                sct = bytearray(log.promise(precertificate))
                sct[place] ^= 1
                return bytes(sct)

            return self.outcome(changed, entries=(log.entry(),)).valid_logs

        self.assertEqual([valid(place) for place in (*range(1, 55), -1)], [0] * 55)

    def test_the_wrong_issuer(self) -> None:
        """
        The key of the issuer is part of what is signed.
        """
        logs = LogList.parse(log_list(self.log.entry()))
        certificate = self.authority.issue(self.log.promise)
        found = judge(loaded(certificate), loaded(Authority().certificate), logs, NOW.timestamp())
        self.assertEqual([sct.verdict for sct in found.scts], ["its signature is wrong"])

    def test_kinds(self) -> None:
        """
        ECDSA with P-256 and RSA of 2048 bits count, with SHA-256; other keys of a log do not.
        """
        keys: dict[str, CertificateIssuerPrivateKeyTypes] = {
            "P-256": generated(),
            "RSA": rsa.generate_private_key(65537, 2048),
            "P-384": ec.generate_private_key(ec.SECP384R1()),
            "short RSA": rsa.generate_private_key(65537, 1024),
            "DSA": dsa.generate_private_key(1024),
            "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        }
        logs = {name: SigningLog(key=key) for name, key in keys.items()}
        found = {name: self.outcome(log.promise, entries=(log.entry(),)).scts[0].verdict for name, log in logs.items()}
        unsupported = dict.fromkeys(keys, "its kind of signature is not supported")
        self.assertEqual(found, {**unsupported, "P-256": "valid", "RSA": "valid"})

    def test_a_key_that_is_not_known(self) -> None:
        """
        Nor does a key of a kind that did not exist yet.
        """
        certificate = self.authority.issue(self.log.promise)
        # The object identifier of id-ecPublicKey, 1.2.840.10045.2.1, with another end.
        key = encoded(self.log.key).replace(bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d027f"))
        logs = LogList((Log(self.log.log_id, key, "Alpha", "Example", "usable"),))
        found = judge(loaded(certificate), loaded(self.authority.certificate), logs, NOW.timestamp())
        self.assertEqual([sct.verdict for sct in found.scts], ["its kind of signature is not supported"])

    def test_named_algorithms(self) -> None:
        """
        The algorithms that an SCT names must be SHA-256 (4) and that of the log's key, ECDSA (3).
        """
        named = [(4, 1), (4, 2), (1, 3), (2, 3), (5, 3), (6, 3)]
        logs = [SigningLog(key=self.log.key, hash_kind=hash_kind, kind=kind) for hash_kind, kind in named]
        found = [self.verdict(log.promise) for log in logs]
        self.assertEqual(found, ["its kind of signature is not supported"] * len(named))


class OutcomeTests(JudgeCase):
    """
    L{TransparencyOutcome}.
    """

    def test_two_logs(self) -> None:
        """
        Each log that vouches is counted.
        """
        beta = SigningLog("Beta")
        found = self.outcome(self.log.promise, beta.promise, entries=(self.log.entry(), beta.entry()))
        self.assertEqual(found.valid_logs, 2)

    def test_one_log_twice(self) -> None:
        """
        A log counts once, however many SCTs of it there are.
        """
        later = partial(self.log.promise, moment=LOGGED + MILLISECOND)
        found = self.outcome(self.log.promise, later)
        self.assertEqual(([sct.verdict for sct in found.scts], found.valid_logs), (["valid"] * 2, 1))

    def test_logs_of_one_name(self) -> None:
        """
        Two logs that are called the same are two.
        """
        other = SigningLog()
        found = self.outcome(self.log.promise, other.promise, entries=(self.log.entry(), other.entry()))
        self.assertEqual(found.valid_logs, 2)

    def test_what_is_not_valid_does_not_count(self) -> None:
        """
        Beside a valid SCT, others are shown and not counted.
        """
        unknown = SigningLog()
        found = self.outcome(unknown.promise, self.log.promise)
        self.assertEqual((len(found.scts), found.valid_logs), (2, 1))

    def test_shown(self) -> None:
        """
        It is one line.
        """
        beta = SigningLog("Beta\n\x1b")
        found = self.outcome(self.log.promise, beta.promise, entries=(self.log.entry(), beta.entry(state="pending")))
        shown = "valid SCTs of 1 log; Alpha (Example): valid; Beta\\n\\x1b (Example): the log is pending"
        self.assertEqual(str(found), shown)

    def test_a_problem_is_shown(self) -> None:
        """
        So is what is wrong with the whole.
        """
        found = self.judged(self.authority.issue_with(None))
        self.assertEqual(str(found), "valid SCTs of 0 logs; the certificate has no embedded SCTs")

    def test_many_are_shown_briefly(self) -> None:
        """
        The line stays short, however many SCTs there are and however long names.
        """
        log = SigningLog("n" * 5000)
        promises = [partial(log.promise, moment=LOGGED + n * MILLISECOND) for n in range(MAX_SCTS)]
        found = self.outcome(*promises, entries=(log.entry(),))
        self.assertTrue(str(found).endswith("; and 8 more"))
        self.assertLess(len(str(found)), 1000)


class ListTests(JudgeCase):
    """
    The list of SCTs as a whole.
    """

    def problem(self, certificate: x509.Certificate) -> str | None:
        """
        Judge a certificate from which no SCT can be read.
        """
        found = self.judged(certificate)
        self.assertEqual((found.scts, found.valid_logs), ((), 0))
        return found.problem

    def test_no_extension(self) -> None:
        """
        A certificate without the extension has no SCTs.
        """
        self.assertEqual(self.problem(self.authority.issue_with(None)), "the certificate has no embedded SCTs")

    def test_empty(self) -> None:
        """
        An empty list is not the same as none.
        """
        self.assertEqual(self.problem(self.authority.issue()), "the certificate's list of SCTs is empty")

    def test_malformed(self) -> None:
        """
        What cannot be read is told, and nothing is raised.
        """
        good = made(self.authority, self.log)
        lists = (
            b"",
            b"\x30",
            octet_string(b""),
            octet_string(b"\0\5abc"),
            sct_list([b""]),
            sct_list([good[:-1]]),
            sct_list([b"\1" + good[1:]]),
            sct_list([good[:43] + b"\x09" + good[44:]]),
        )
        found = {self.problem(self.authority.issue_with(one)) for one in lists}
        self.assertEqual(found, {"the certificate's SCTs cannot be read (ValueError)"})

    def test_unknown_issuer(self) -> None:
        """
        Without the issuer nothing can be checked.
        """
        logs = LogList.parse(log_list(self.log.entry()))
        found = judge(loaded(self.authority.issue(self.log.promise)), None, logs, NOW.timestamp())
        self.assertEqual(found, TransparencyOutcome((), "the certificate's issuer is not known"))

    def test_too_many(self) -> None:
        """
        Only the first of very many are looked at, and the outcome says so.
        """
        promises = [partial(self.log.promise, moment=LOGGED - n * MILLISECOND) for n in range(MAX_SCTS + 3)]
        found = self.outcome(*promises)
        self.assertEqual((len(found.scts), found.problem), (MAX_SCTS, "3 more SCTs were not looked at"))

    def test_as_many_as_are_looked_at(self) -> None:
        """
        A list of just that many is no problem.
        """
        found = self.outcome(*[self.log.promise] * MAX_SCTS)
        self.assertEqual((len(found.scts), found.problem), (MAX_SCTS, None))

    def test_anything(self) -> None:
        """
        Whatever stands in the extension, or in the list, or in an SCT: nothing is raised and nothing counts.
        """
        plain = st.binary(max_size=300)
        scts = st.lists(st.builds(self._nearly, plain, st.integers(0, 2**64 - 1)) | plain, max_size=4)

        @hostile
        @given(plain | plain.map(octet_string) | scts.map(sct_list))
        def nothing_counts(extension: bytes) -> None:
            self.assertEqual(self.judged(self.authority.issue_with(extension)).valid_logs, 0)

        nothing_counts()

    def _nearly(self, signature: bytes, moment: int) -> bytes:
        head = b"\0" + self.log.log_id + moment.to_bytes(8, "big") + b"\0\0\4\3"
        return head + len(signature).to_bytes(2, "big") + signature
