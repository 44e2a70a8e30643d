"""An authenticator in software, as strict as a browser with a device: it makes real registrations and signatures."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from twokey.core.people import Passkey

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class Device:
    """One passkey of one person for one address; what it answers stands in hexadecimal digits, as pages send it."""

    origin: str = "https://twokey.example"
    verifies: bool = True  # asks for a finger or a PIN
    counter: int = 0
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @property
    def passkey(self) -> Passkey:
        """Return its public half, as a roster has it."""
        return Passkey(self.credential.hex(), self._public().hex(), "in software")

    @classmethod
    def of_rsa(cls, bits: int = 2048) -> Device:
        """Return a device as Windows Hello is one on many machines: it makes RS256 and nothing else."""
        return cls(key=rsa.generate_private_key(65537, bits))

    def elsewhere(self, origin: str) -> Device:
        """Return the same key behind another address: what a page that looks like ours would get."""
        return replace(self, origin=origin)

    def make(self, challenge: bytes) -> dict[str, str]:
        """Answer a request to make a passkey."""
        identity = bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + self._public()
        data = self._data(ATTESTED) + identity
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return {
            "credential": self.credential.hex(),
            "client_data": self._client("webauthn.create", challenge).hex(),
            "attestation": attestation.hex(),
        }

    def sign(self, challenge: bytes) -> dict[str, str]:
        """Answer a request to sign."""
        client, data = self._client("webauthn.get", challenge), self._data()
        signature = self.signature(data + hashlib.sha256(client).digest())
        return {
            "credential": self.credential.hex(),
            "client_data": client.hex(),
            "authenticator_data": data.hex(),
            "signature": signature.hex(),
        }

    def signature(self, over: bytes) -> bytes:
        """Sign these bytes, whatever they are."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(over, padding.PKCS1v15(), SHA256())
        return self.key.sign(over, ec.ECDSA(SHA256()))

    def _client(self, kind: str, challenge: bytes) -> bytes:
        text = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        told = {"type": kind, "challenge": text, "origin": self.origin, "crossOrigin": False}
        return json.dumps(told, separators=(",", ":")).encode()

    def _data(self, flags: int = 0) -> bytes:
        self.counter += 1
        host = (urlsplit(self.origin).hostname or "").encode()
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(host).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _public(self) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            numbers = self.key.public_key().public_numbers()
            modulus, exponent = (n.to_bytes((n.bit_length() + 7) // 8, "big") for n in (numbers.n, numbers.e))
            return cbor2.dumps({1: 3, 3: -257, -1: modulus, -2: exponent})
        point = self.key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (point.x, point.y))
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
