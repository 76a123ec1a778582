"""The certificate of a service of one's own, and the pin by which its peers know it."""

import datetime
import hashlib
import ssl
import stat
import sys
from pathlib import Path

import pytest

from deploy.certificate import ensure, main
from signaling.pin import as_browsers_show_it, pin_of, read_pin

NOW = datetime.datetime(2030, 6, 1, tzinfo=datetime.UTC)


def test_a_restart_keeps_the_pin(tmp_path: Path) -> None:
    first = ensure(tmp_path, ["203.0.113.7"], now=NOW)
    assert ensure(tmp_path, ["198.51.100.1"], now=NOW + datetime.timedelta(days=300)) == first


def test_what_has_run_out_or_is_broken_is_made_anew(tmp_path: Path) -> None:
    first = ensure(tmp_path, now=NOW)
    second = ensure(tmp_path, now=NOW + datetime.timedelta(days=397))
    assert second.pin != first.pin
    second.key.write_text("no key")
    third = ensure(tmp_path, now=NOW + datetime.timedelta(days=397))
    assert third.pin != second.pin
    assert ensure(tmp_path, now=NOW + datetime.timedelta(days=397), renew=True).pin != third.pin


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX modes")
def test_nobody_else_can_read_the_key(tmp_path: Path) -> None:
    made = ensure(tmp_path / "new folder", now=NOW)
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600


def test_the_pin_is_what_browsers_show(tmp_path: Path) -> None:
    made = ensure(tmp_path, now=NOW)
    der = ssl.PEM_cert_to_DER_cert(made.certificate.read_text())
    shown = as_browsers_show_it(made.pin)
    assert shown.replace(":", "").lower() == hashlib.sha256(der).hexdigest()
    assert read_pin(shown) == read_pin(shown.replace(":", "").lower()) == read_pin(f" {made.pin}\n") == made.pin


def test_a_file_without_a_certificate_has_no_pin(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    for text in ("", "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n"):
        file.write_text(text)
        with pytest.raises(ValueError, match="holds no certificate in PEM form"):
            pin_of(file)


def test_the_program_prints_the_pin_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--address", "203.0.113.7", "--address", "gpu.example.org"]) == 0
    assert capsys.readouterr().out == f"{pin_of(tmp_path / 'certificate.pem')}\n"


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file" / "folder")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
