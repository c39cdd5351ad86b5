"""
Tests of C{matrix_federation_agent._tls.trust}.
"""

from __future__ import annotations

import os
from pathlib import Path

from OpenSSL import SSL
from trustme import CA

from matrix_federation_agent import TrustPolicy
from matrix_federation_agent._tls.trust import TrustGeneration
from matrix_federation_agent.errors import ConfigurationError
from tests.case import TestCase


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
