"""
Signed JSON, as the Matrix specification's appendix "Signing JSON" has it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_VALIDITY_MILLISECONDS = 24 * 60 * 60 * 1000


def canonical_json(value: object) -> bytes:
    """
    Encode in the one form that signatures cover (appendix "Canonical JSON").

    @param value: what L{json} can encode, without floats.
    @return: the shortest UTF-8 JSON with sorted keys.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode("utf-8")


def unpadded_base64(data: bytes) -> str:
    """
    Encode as the specification does (appendix "Unpadded Base64").

    @param data: any bytes.
    """
    return base64.b64encode(data).rstrip(b"=").decode("ascii")


@attrs.frozen
class SigningKey:
    """
    An Ed25519 key of a homeserver.

    @ivar identifier: its name among the server's keys, such as C{ed25519:1}.
    """

    private_key: Ed25519PrivateKey = attrs.field(factory=Ed25519PrivateKey.generate, repr=False)
    identifier: str = "ed25519:1"

    @property
    def public(self) -> str:
        """
        The public half, in unpadded base64.
        """
        return unpadded_base64(self.private_key.public_key().public_bytes_raw())

    def sign(self, server_name: str, value: Mapping[str, object]) -> dict[str, object]:
        """
        Sign a JSON object.

        @param server_name: who signs.
        @param value: the object, without C{signatures}.
        @return: the object with its signature.
        """
        signature = unpadded_base64(self.private_key.sign(canonical_json(value)))
        return {**value, "signatures": {server_name: {self.identifier: signature}}}

    def key_object(self, server_name: str, now: float) -> dict[str, object]:
        """
        Make the answer to C{GET /_matrix/key/v2/server}.

        @param server_name: whose keys these are.
        @param now: seconds since the epoch.
        @return: the signed object; it is valid for a day.
        """
        keys: dict[str, object] = {
            "server_name": server_name,
            "verify_keys": {self.identifier: {"key": self.public}},
            "old_verify_keys": {},
            "valid_until_ts": int(now * 1000) + _VALIDITY_MILLISECONDS,
        }
        return self.sign(server_name, keys)
