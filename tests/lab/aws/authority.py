"""A certificate authority for one test: it issues what a test says, also what no authority should."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Authority:
    """Vouches for names, from a day before `now` on."""

    def __init__(self, name: str, now: datetime) -> None:
        self.now = now
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.pem = self._made(self.name, self.key.public_key(), (), timedelta(days=3650), is_authority=True)

    def issue(
        self,
        common_name: str,
        key: Key,
        *,
        names: tuple[str, ...] | None = None,
        lasts: timedelta = timedelta(days=365),
        is_authority: bool = False,
    ) -> bytes:
        """Return a certificate as PEM; `names` are what it is for, the common name alone when not given."""
        known = (common_name,) if names is None else names
        return self._made(_name(common_name), key.public_key(), known, lasts, is_authority=is_authority)

    def write(self, folder: Path, host: str) -> Path:
        """Write a server's key and certificate into one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = folder / f"{host}.pem"
        file.write_bytes(secret + self.issue(host, key))
        return file

    def _made(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        names: tuple[str, ...],
        lasts: timedelta,
        *,
        is_authority: bool,
    ) -> bytes:
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        usage = dict.fromkeys(
            ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
            False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + lasts)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(own, critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_encipherment=not is_authority,
                    key_cert_sign=is_authority,
                    crl_sign=is_authority,
                    **usage,
                ),
                critical=True,
            )
        )
        if names:
            listed = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(listed, critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
