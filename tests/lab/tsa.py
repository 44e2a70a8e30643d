"""An RFC 3161 authority on the loopback address: openssl signs; it can be silent, sign as another, or answer stale."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

OPENSSL = shutil.which("openssl")
_CONFIG = """
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


@dataclass
class Authority:
    """One authority with a root of its own; what it answers can be made worse."""

    folder: Path
    url: str = ""
    status: int = 200  # what it answers with
    is_stale: bool = False  # it gives the answer to an earlier query again
    says: bytes | None = None  # it answers with these bytes
    queries: list[bytes] = field(default_factory=list)
    _given: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "openssl.cnf").write_text(_CONFIG.format(folder=self.folder))
        (self.folder / "serial").write_text("01\n")
        root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = _certificate("lab root", root_key, "lab root", root_key, is_root=True)
        leaf = _certificate("lab authority", key, "lab root", root_key, is_root=False)
        for name, certificate in (("root.pem", root), ("leaf.pem", leaf)):
            (self.folder / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (self.folder / "key.pem").write_bytes(private)

    @property
    def root(self) -> Path:
        """Return the file of the certificate that all it signs leads to."""
        return self.folder / "root.pem"

    def answer(self, query: bytes) -> bytes:
        """Sign a query as RFC 3161 says."""
        self.queries.append(query)
        if self.says is not None:
            return self.says
        if self.is_stale and self._given:
            return self._given[-1]
        (self.folder / "query.tsq").write_bytes(query)
        command = [
            *(str(OPENSSL), "ts", "-reply", "-config", str(self.folder / "openssl.cnf"), "-section", "here"),
            *("-queryfile", str(self.folder / "query.tsq"), "-signer", str(self.folder / "leaf.pem")),
            *("-inkey", str(self.folder / "key.pem"), "-out", str(self.folder / "answer.tsr")),
        ]
        subprocess.run(command, check=True, capture_output=True)
        self._given.append((self.folder / "answer.tsr").read_bytes())
        return self._given[-1]


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_root: bool,
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_root,
                key_cert_sign=is_root,
                crl_sign=is_root,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if not is_root:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return made.sign(issuer_key, hashes.SHA256())


@contextmanager
def authority(folder: Path) -> Iterator[Authority]:
    """Serve one while the block runs."""
    found = Authority(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/":
                self.send_error(404)
                return
            if found.status in (301, 302, 307):
                self.send_response(found.status)
                self.send_header("Location", found.url + "elsewhere")
                self.end_headers()
                return
            if found.status != 200:
                self.send_error(found.status)
                return
            body = found.answer(query)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
