"""Certificates made on the fly: one authority, and leaves with one thing wrong.

The names that certificates are for are `localhost` and 127.0.0.1, where all the
tests' servers are.
"""

import datetime
import ipaddress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
LOCAL = ("localhost", "127.0.0.1", "::1")


class Identity(NamedTuple):
    """PEM files. `cert` has the leaf alone: the authority signs leaves."""
    cert: Path
    key: Path


def _name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_name(host):
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


class Authority:
    """Signs certificates. `ca` is the file with its own."""

    def __init__(self, folder, name="libws test authority"):
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name).issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY).not_valid_after(now + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256()))
        self.ca = self._folder / "ca.pem"
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, file_name, hosts=LOCAL, *, common_name="libws test",
              not_before=-1, not_after=1, is_self_signed=False, is_client=False):
        """Makes a certificate for `hosts`, valid from `not_before` to
        `not_after` days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(common_name)
        now = datetime.datetime.now(datetime.timezone.utc)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if is_client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if is_self_signed else self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + not_before * DAY)
            .not_valid_after(now + not_after * DAY)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False))
        if hosts:
            names = x509.SubjectAlternativeName([_alternative_name(h) for h in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(key if is_self_signed else self._key, hashes.SHA256())

        identity = Identity(self._folder / f"{file_name}.pem", self._folder / f"{file_name}.key")
        identity.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        identity.key.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        return identity
