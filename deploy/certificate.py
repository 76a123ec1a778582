"""A certificate of one's own for the signaling service, made where it runs: `python -m deploy.certificate DIR`.

No authority vouches for a machine that is rented for an evening. Peers know it by the pin that is printed, which goes
into the connection string; a browser warns once and shows the same number.
"""

import argparse
import datetime
import ipaddress
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from signaling.pin import as_browsers_show_it, pin_of, serving

LIFETIME = datetime.timedelta(days=397)
"""The longest that browsers take (CA/Browser Forum, Baseline Requirements 6.3.2, as of 2020)."""
CLOCK_SLACK = datetime.timedelta(days=1)
"""Clocks of rented machines and laptops differ."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Two PEM files and the pin by which peers know them."""

    certificate: Path
    key: Path
    pin: str


def ensure(
    folder: Path, addresses: Sequence[str] = (), *, now: datetime.datetime | None = None, renew: bool = False
) -> Certificate:
    """The certificate in `folder`, made when there is none that is still good for a day; a restart keeps its pin.

    It is for `addresses` (names, IP addresses) and this machine itself: ECDSA on P-256, self-signed. The key is
    readable by its owner only. Raises OSError.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if renew or not _is_good(certificate, key, now):
        folder.mkdir(parents=True, exist_ok=True)
        made, private = _make(addresses, now)
        _write(key, private, mode=0o600)
        _write(certificate, made, mode=0o644)
    return Certificate(certificate, key, pin_of(certificate))


def _is_good(certificate: Path, key: Path, now: datetime.datetime) -> bool:
    try:
        serving(certificate, key)
        ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return False
    return now + datetime.timedelta(days=1) < ends


def _make(addresses: Sequence[str], now: datetime.datetime) -> tuple[bytes, bytes]:
    """The certificate and its private key, both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Understudy")])
    names = dict.fromkeys((*addresses, "localhost", "127.0.0.1", "::1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_name(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _write(file: Path, content: bytes, *, mode: int) -> None:
    """Readable by whom `mode` lets from its first byte on, and never half written."""
    beside = file.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as output:
        output.write(content)
    beside.replace(file)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.certificate",
        description="Make the signaling service's certificate, unless there is one, and print its pin.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="gets certificate.pem and key.pem")
    parser.add_argument("--address", action="append", default=[], help="a name or IP address by which it is reached")
    parser.add_argument("--renew", action="store_true", help="make another one, with another pin, in any case")
    options = parser.parse_args(arguments)
    try:
        made = ensure(options.folder, options.address, renew=options.renew)
    except (OSError, ValueError) as error:
        print(f"The certificate cannot be made in {options.folder}: {error}.", file=sys.stderr)
        return 1
    print(made.pin)
    print(f"Browsers show it as {as_browsers_show_it(made.pin)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
