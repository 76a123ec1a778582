"""The certificate of a service of one's own, which no authority vouches for: known by its SHA-256, the pin.

A pin is the hash of the certificate's DER form (what openssl and browsers call its SHA-256 fingerprint), written in 43
characters of base64url, or in 64 hexadecimal digits with or without colons.
"""

import base64
import binascii
import hashlib
import re
import ssl
from pathlib import Path

import aiohttp

PIN_CHARACTERS = 43

_HEXADECIMAL = re.compile(r"[0-9a-f]{2}(:?[0-9a-f]{2}){31}", re.IGNORECASE)
_BASE64URL = re.compile(rf"[A-Za-z0-9_-]{{{PIN_CHARACTERS}}}")


def read_pin(text: str) -> str:
    """The pin in its short form. Raises ValueError, a clause that says what a pin is."""
    text = text.strip()
    if _BASE64URL.fullmatch(text):
        return text
    if _HEXADECIMAL.fullmatch(text):
        return _short(bytes.fromhex(text.replace(":", "")))
    raise ValueError(
        f"a pin is the SHA-256 of a certificate, {PIN_CHARACTERS} letters, digits, hyphens and underscores or 64 "
        "hexadecimal digits"
    )


def pin_of(certificate: Path) -> str:
    """The pin of the first certificate in a PEM file. Raises OSError, ValueError."""
    text = certificate.read_text(encoding="ascii", errors="replace")
    found = re.search(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", text, re.DOTALL)
    try:
        der = ssl.PEM_cert_to_DER_cert(found[0]) if found else b""
    except binascii.Error:
        der = b""
    if not der:
        raise ValueError(f"{certificate} holds no certificate in PEM form")
    return _short(hashlib.sha256(der).digest())


def as_browsers_show_it(pin: str) -> str:
    """64 hexadecimal digits with colons, to compare with what a browser says of a certificate."""
    return _bytes(pin).hex(":").upper()


def fingerprint(pin: str) -> aiohttp.Fingerprint:
    """What lets aiohttp connect to the holder of this certificate and to nobody else."""
    return aiohttp.Fingerprint(_bytes(pin))


def trusting(certificate: Path) -> ssl.SSLContext:
    """For a client beside the service, which has the file itself: trust it alone, whatever name the service has here.

    Raises OSError for a file that holds no certificate.
    """
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    return context


def serving(certificate: Path, key: Path) -> ssl.SSLContext:
    """For the service itself. Raises OSError or ssl.SSLError for files that are not a certificate and its key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def _short(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _bytes(pin: str) -> bytes:
    digest = base64.urlsafe_b64decode(pin + "=")
    if len(digest) != hashlib.sha256().digest_size:
        raise ValueError("the pin is too short")
    return digest
