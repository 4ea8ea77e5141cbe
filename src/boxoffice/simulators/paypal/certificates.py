"""Keys and certificates that sign the simulator's webhooks: a CA of its own, and a leaf below it, kept in its folder.

PayPal signs with a certificate below a public CA; here the CA's file is what the platform is told to trust.
"""

import base64
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_FILE = "webhook-ca.pem"
LEAF_FILE = "webhook-certificate.pem"
KEY_FILE = "webhook-key.pem"
SIGNER_NAME = "messageverificationcerts.simulator.test"
"""PayPal's is messageverificationcerts.paypal.com."""
CERTIFICATE_ID = "CERT-simulator"
LIFE_DAYS = 397
"""The longest that verifiers accept for a leaf."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs webhooks: RSA with SHA-256 over ``id|time|webhook id|crc32(body)``."""

    key: rsa.RSAPrivateKey
    chain_pem: bytes

    def sign(self, *, transmission_id: str, time: str, webhook_id: str, body: bytes) -> str:
        """Sign one transmission (https://developer.paypal.com/api/rest/webhooks/rest/)."""
        message = f"{transmission_id}|{time}|{webhook_id}|{zlib.crc32(body)}".encode()
        return base64.b64encode(self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def signer(folder: Path) -> Signer:
    """Open the signer of a data folder; make it at the first start and when its certificate is about to lapse."""
    leaf_file, key_file = folder / LEAF_FILE, folder / KEY_FILE
    if leaf_file.exists() and key_file.exists():
        chain = leaf_file.read_bytes()
        left = x509.load_pem_x509_certificates(chain)[0].not_valid_after_utc - datetime.now(UTC)
        if left > timedelta(days=30):
            key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
            if isinstance(key, rsa.RSAPrivateKey):
                return Signer(key, chain)
    return _make(folder)


def _make(folder: Path) -> Signer:
    ca_key, leaf_key = _key(), _key()
    ca_name = _name("Boxoffice PayPal simulator CA")
    ca = (
        _certificate(ca_name, ca_name, ca_key, days=3650)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        _certificate(_name(SIGNER_NAME), ca_name, leaf_key, days=LIFE_DAYS)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SIGNER_NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    chain = leaf.public_bytes(serialization.Encoding.PEM)
    (folder / CA_FILE).write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    key_file = folder / KEY_FILE
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (folder / LEAF_FILE).write_bytes(chain)
    return Signer(leaf_key, chain)


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, *, days: int
) -> x509.CertificateBuilder:
    begin = datetime.now(UTC) - timedelta(minutes=5)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
