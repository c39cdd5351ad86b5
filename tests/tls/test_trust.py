"""
Tests of C{matrix_federation_agent._tls.trust}.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from OpenSSL import SSL
from trustme import CA
from twisted.logger import globalLogPublisher

from matrix_federation_agent import TrustPolicy
from matrix_federation_agent._tls.sessions import Proof, RememberedSession
from matrix_federation_agent._tls.trust import Trust, TrustGeneration, named_files
from matrix_federation_agent.errors import ConfigurationError
from tests.case import TestCase
from tests.tls.files import NOW, FilesCase, TrustObserver, root


class LoadingTests(TestCase):
    """
    L{TrustGeneration.load}.
    """

    def file(self, content: bytes) -> str:
        """
        Write a file.
        """
        path = Path(self.mktemp())
        path.write_bytes(content)
        return str(path)

    def test_the_same_root_twice(self) -> None:
        """
        A root that is in two files is no error.
        """
        pem = CA().cert_pem.bytes()
        policy = TrustPolicy(ca_files=[self.file(pem), self.file(pem + pem)], use_system_roots=False)
        self.assertTrue(TrustGeneration.load(policy).has_roots)

    def test_no_roots(self) -> None:
        """
        Without files and without the system's roots there are none.
        """
        self.assertFalse(TrustGeneration.load(TrustPolicy(use_system_roots=False)).has_roots)

    def test_unusable_files(self) -> None:
        """
        A file that is empty, malformed, missing or a directory is a configuration error.
        """
        pem = CA().cert_pem.bytes()
        contents = (b"", b"\n", b"garbage", b"\xff\xfe", pem[:-30], pem.replace(b"M", b"?"), b"\x00" * 100)
        files = [self.file(content) for content in contents]
        for path in (*files, self.mktemp(), str(Path(files[0]).parent), "\x00"):
            policy = TrustPolicy(ca_files=[path], use_system_roots=False)
            error = self.assertRaises(ConfigurationError, TrustGeneration.load, policy)
            self.assertEqual(error.setting, "ca_files", repr(path))

    def test_the_context_verifies_by_default(self) -> None:
        """
        A connection whose own check is forgotten is verified by OpenSSL all the same.
        """
        context = TrustGeneration.load(TrustPolicy(use_system_roots=False)).context
        self.assertEqual(context.get_verify_mode(), SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)

    def test_no_renegotiation(self) -> None:
        """
        A server cannot begin another handshake after the one that was judged, nor are bytes compressed.
        """
        context = TrustGeneration.load(TrustPolicy(use_system_roots=False)).context
        wanted = SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION
        self.assertEqual(context.set_options(0) & wanted, wanted)

    def test_sessions_are_not_kept(self) -> None:
        """
        No session is kept, which would skip the check.
        """
        context = TrustGeneration.load(TrustPolicy(use_system_roots=False)).context
        self.assertEqual(context.get_session_cache_mode(), SSL.SESS_CACHE_OFF)

    def test_generations_share_nothing(self) -> None:
        """
        The same policy loaded twice gives two contexts.
        """
        policy = TrustPolicy(use_system_roots=False)
        self.assertIsNot(TrustGeneration.load(policy).context, TrustGeneration.load(policy).context)

    def test_the_system_counts_only_when_it_is_wanted(self) -> None:
        """
        The system's roots are no roots to a policy that does without them.
        """
        pem = Path(self.mktemp())
        pem.write_bytes(CA().cert_pem.bytes())
        self.patch(os, "environ", {"SSL_CERT_FILE": str(pem)})
        found = [TrustGeneration.load(TrustPolicy(use_system_roots=wanted)).has_roots for wanted in (True, False)]
        self.assertEqual(found, [True, False])


class SuccessionTests(FilesCase):
    """
    L{Trust}.
    """

    def setUp(self) -> None:
        """
        Trust one root.
        """
        super().setUp()
        self.path = Path(self.file(root("one").pem))
        self.policy = TrustPolicy(ca_files=[self.path], use_system_roots=False)
        self.trust = Trust(TrustGeneration.load(self.policy))
        observer = TrustObserver()
        self.events = observer.events
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        globalLogPublisher.addObserver(observer)

    def test_succession(self) -> None:
        """
        The new generation stands when subscribers are told, and the old one knows that its time is over.
        """
        before = self.trust.generation
        told: list[tuple[bool, bool]] = []
        self.trust.subscribe(lambda: told.append((before.retired, self.trust.generation is before)))
        self.trust.reload()
        self.assertEqual((told, self.trust.generation.retired), ([(True, False)], False))

    def test_sessions_are_not_inherited(self) -> None:
        """
        TLS sessions end with the roots under which they were made.
        """
        before = self.trust.generation.sessions
        before.keep("ex.com:8448", RememberedSession(cast("SSL.Session", None), Proof(b"", 0, 1, 1), 1))
        self.trust.reload()
        self.assertEqual((self.trust.generation.sessions is before, len(before)), (False, 0))

    def test_a_broken_file(self) -> None:
        """
        A broken file leaves everything as it was, and nobody is told.
        """
        before = self.trust.generation
        self.trust.subscribe(lambda: self.events.append("told"))
        self.path.write_bytes(b"")
        self.assertRaises(ConfigurationError, self.trust.reload)
        self.assertEqual((self.trust.generation, before.retired, self.events), (before, False, []))

    def test_it_is_logged(self) -> None:
        """
        Which roots there are now is logged.
        """
        self.path.write_bytes(root("two").pem + root("three").pem)
        self.trust.reload()
        self.trust.succeed(TrustGeneration.load(TrustPolicy()))
        words = "info: the trusted roots were replaced: now"
        self.assertEqual(self.events, [f"{words} 2 of ca_files", f"{words} 0 of ca_files and those of the system"])

    def test_what_is_of_no_use_is_logged(self) -> None:
        """
        Roots and a client certificate that have expired are warned of.
        """
        old = root("old", days=-3)
        own = self.file(old.pem, old.key_pem)
        policy = TrustPolicy(ca_files=[self.file(old.pem)], use_system_roots=False, client_certificate=own)
        TrustGeneration.load(policy).announce(NOW.timestamp())
        ended = f"expired on {old.certificate.not_valid_after_utc:%Y-%m-%d}"
        told = [f"warn: ca_files: 'CN=old' {ended}", f"warn: client_certificate: {own} {ended}"]
        self.assertEqual(self.events, told)

    def test_the_files(self) -> None:
        """
        All files that a policy names are those that are watched.
        """
        policy = TrustPolicy(ca_files=["a", "b"], client_certificate="c", client_key="d", ct_log_list="e")
        self.assertEqual((named_files(policy), named_files(TrustPolicy())), (("a", "b", "c", "d", "e"), ()))
