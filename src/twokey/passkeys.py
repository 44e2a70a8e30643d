"""Passkeys: WebAuthn signatures and registrations, verified against our own address and no other."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import bytes_to_base64url
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException

from twokey.core.errors import Refused
from twokey.core.people import Passkey

# Telephones and security keys make ES256; Windows Hello makes RS256 and nothing else on many machines.
_ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
# In CBOR (RFC 9053, RFC 8230): a key on P-256, or one of RSA with 2048 bits. Whoever judges afterwards reads no other.
_KEYS = re.compile(
    rb"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20.{32}\x22\x58\x20.{32}"
    rb"|\xa4\x01\x03\x03\x39\x01\x00\x20\x59\x01\x00[\x80-\xff].{255}\x21\x43\x01\x00\x01",
    re.DOTALL,
)
# What the library raises on answers that no browser makes: it reads bytes as it finds them.
_MALFORMED = (WebAuthnException, ValueError, LookupError, TypeError, ArithmeticError, struct.error)
_MOST = 8192  # hexadecimal digits of one field; browsers send some hundreds


@dataclass(frozen=True, slots=True)
class WebPasskeys:
    """Verifies what devices sign for the pages under one public address."""

    public_url: str  # https://twokey.example, without a path

    @property
    def rp_id(self) -> str:
        """Return the name that passkeys are bound to: the host of the address."""
        return urlsplit(self.public_url).hostname or ""

    def address(self, page: str, token: str) -> str:
        """Return the address of a page for one link."""
        return f"{self.public_url}/passkey/{page}/{token}"

    def signs(self, passkey: Passkey, challenge: bytes, assertion: Mapping[str, str]) -> bool:
        """Say whether this passkey signed this challenge for our own address, its person being verified.

        The counter is not kept: passkeys that are in sync between devices have none.
        """
        try:
            verify_authentication_response(
                credential=_credential(
                    assertion, passkey.id, ("client_data", "authenticator_data", "signature")
                ),
                expected_challenge=challenge,
                expected_rp_id=self.rp_id,
                expected_origin=self.public_url,
                credential_public_key=bytes.fromhex(passkey.public_key),
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except _MALFORMED:
            return False
        return True

    def made(self, challenge: bytes, answer: Mapping[str, str]) -> Passkey:
        """Return the passkey that a device made for our own address."""
        try:
            found = verify_registration_response(
                credential=_credential(answer, str(answer["credential"]), ("client_data", "attestation")),
                expected_challenge=challenge,
                expected_rp_id=self.rp_id,
                expected_origin=self.public_url,
                require_user_verification=True,
                supported_pub_key_algs=_ALGORITHMS,
            )
        except _MALFORMED as fault:
            raise Refused("refused.passkey_wrong") from fault
        if not _KEYS.fullmatch(found.credential_public_key):
            raise Refused("refused.passkey_kind")
        return Passkey(found.credential_id.hex(), found.credential_public_key.hex())


_NAMES = {
    "client_data": "clientDataJSON",
    "authenticator_data": "authenticatorData",
    "signature": "signature",
    "attestation": "attestationObject",
}


def _credential(given: Mapping[str, str], credential: str, names: tuple[str, ...]) -> dict[str, object]:
    """Return an answer of a browser as the library reads it; ValueError when it is not in hexadecimal digits."""
    raw = bytes_to_base64url(bytes.fromhex(credential))
    return {
        "id": raw,
        "rawId": raw,
        "type": "public-key",
        "response": {_NAMES[name]: bytes_to_base64url(bytes.fromhex(given[name][:_MOST])) for name in names},
    }
