"""Keys that are signatures: each is verified with the public keys that were handed out, and nobody's word."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from twokey.history.handed_out import Entry, History, Violation

Keys = Mapping[str, Mapping[str, str]]  # person -> credential -> public key

_PRESENT, _VERIFIED = 0x01, 0x04
# A key of WebAuthn's ES256 in CBOR (RFC 9053): kty EC2, alg ES256, crv P-256, then x and y of 32 bytes.
_HEAD, _MIDDLE = bytes.fromhex("a5010203262001215820"), bytes.fromhex("225820")
# One of RS256 (RFC 8230): kty RSA, alg RS256, then a modulus of 256 bytes and the exponent 65537.
_RSA_HEAD, _RSA_END = bytes.fromhex("a401030339010020590100"), bytes.fromhex("2143010001")


def public_keys(lines: Iterable[str]) -> Keys:
    """Read what `twokey roster passkeys --json` wrote: `person`, `id`, `public_key`, one object a line."""
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        if line.strip():
            row = json.loads(line)
            found.setdefault(row["person"], {})[row["id"]] = row["public_key"]
    return found


def signed(history: History) -> Iterator[Violation]:
    """Verify every key that must be a signature, and every signature of a key that need not be one."""
    for plan in history.plans():
        must = plan.asked is not None and plan.asked["data"].get("step_up") == "passkey"
        for entry in plan.of("approved"):
            if not must and "passkey" not in entry["data"]:
                continue
            if history.passkeys is None and "passkey" in entry["data"]:
                raise ValueError("keys were signed: --passkeys FILE is needed to judge them")
            if not is_signed(entry, plan.id, plan.digest, history.passkeys or {}):
                yield Violation("signed", entry["seq"], f"{entry['actor']} did not sign {plan.id}")
        for broken in plan.of("glass.broken"):
            if broken["data"].get("step_up") == "passkey":
                yield Violation("signed", broken["seq"], f"{plan.id} ran on one key without a signature")


def is_signed(entry: Entry, plan_id: str, digest: str, keys: Keys) -> bool:
    """Say whether this person's passkey signed exactly this plan, its person having been verified by the device."""
    given = entry["data"].get("passkey")
    try:
        key = keys[entry["actor"]][given["credential"]]
        client, data = bytes.fromhex(given["client_data"]), bytes.fromhex(given["authenticator_data"])
        told = json.loads(client)
        text = "\n".join(("twokey key", plan_id, digest, entry["actor"], given["nonce"]))
        wanted = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        if told["type"] != "webauthn.get" or told["challenge"] != wanted:
            return False
        if len(data) < 37 or data[32] & (_PRESENT | _VERIFIED) != _PRESENT | _VERIFIED:
            return False
        _verify(bytes.fromhex(key), bytes.fromhex(given["signature"]), data + hashlib.sha256(client).digest())
    except (KeyError, TypeError, ValueError, InvalidSignature):
        return False
    return True


def _verify(key: bytes, signature: bytes, over: bytes) -> None:
    if len(key) == 272 and key.startswith(_RSA_HEAD) and key.endswith(_RSA_END):
        modulus = int.from_bytes(key[11:267], "big")
        RSAPublicNumbers(65537, modulus).public_key().verify(signature, over, PKCS1v15(), SHA256())
        return
    if len(key) != 77 or not key.startswith(_HEAD) or key[42:45] != _MIDDLE:
        raise ValueError("a key of neither ES256 nor RS256")
    x, y = int.from_bytes(key[10:42], "big"), int.from_bytes(key[45:], "big")
    EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key().verify(signature, over, ECDSA(SHA256()))
