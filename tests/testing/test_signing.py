"""
Tests of C{matrix_federation_agent.testing._signing}.
"""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from matrix_federation_agent.testing._signing import SigningKey, canonical_json, unpadded_base64
from tests.case import TestCase

SPECIFICATIONS_SEED = base64.b64decode("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1=")


class SigningTests(TestCase):
    """
    Signed JSON.
    """

    def test_canonical_json(self) -> None:
        """
        The specification's examples, appendix "Canonical JSON".
        """
        examples: tuple[tuple[dict[str, Any], str], ...] = (
            ({}, "{}"),
            ({"one": 1, "two": "Two"}, '{"one":1,"two":"Two"}'),
            ({"b": "2", "a": "1"}, '{"a":"1","b":"2"}'),
            ({"本": 2, "日": 1}, '{"日":1,"本":2}'),
            ({"a": None}, '{"a":null}'),
        )
        for value, expected in examples:
            self.assertEqual(canonical_json(value), expected.encode())

    def test_unpadded_base64(self) -> None:
        """
        The specification's examples, appendix "Unpadded Base64".
        """
        words = (b"", b"f", b"fo", b"foo", b"foob", b"fooba", b"foobar")
        expected = ["", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"]
        self.assertEqual([unpadded_base64(word) for word in words], expected)

    def test_the_specifications_signature(self) -> None:
        """
        The specification's test vector, appendix "Cryptographic Test Vectors": an empty object.
        """
        key = SigningKey(Ed25519PrivateKey.from_private_bytes(SPECIFICATIONS_SEED))
        signature = "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"
        self.assertEqual(key.sign("domain", {}), {"signatures": {"domain": {"ed25519:1": signature}}})

    def test_key_objects_are_signed_by_their_own_key(self) -> None:
        """
        The signature covers everything but itself, and is good for a day.
        """
        key = SigningKey()
        signed = key.key_object("ex.example", now=1000.5)
        self.assertEqual(signed["verify_keys"], {"ed25519:1": {"key": key.public}})
        self.assertEqual(signed["valid_until_ts"], 1000500 + 24 * 3600 * 1000)
        signature = signed.pop("signatures")["ex.example"]["ed25519:1"]  # type: ignore[index]
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.public + "="))
        self.assertIsNone(public.verify(base64.b64decode(signature + "=="), canonical_json(signed)))
