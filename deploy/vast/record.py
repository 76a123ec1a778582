"""What this machine remembers of a rental, so that later commands reach it: a folder that only its owner can read."""

import base64
import json
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy import certificate
from deploy.vast.instance import Instance
from deploy.vast.ledger import write_private
from deploy.vast.order import SIGNALING_PORT
from signaling import auth
from signaling.connection_string import ConnectionString

SECRET_BYTES = 32
LABEL_BYTES = 4
TOKEN_SLACK_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Record:
    """One label: its secret, its certificate, and how one gets in."""

    label: str
    room: str
    folder: Path
    pin: str
    secret: str = field(repr=False)
    token_s: float
    """How long a token is good."""

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    def secrets(self) -> dict[str, str]:
        """What the machine must know and nobody else."""
        return {
            "UNDERSTUDY_SIGNALING__SECRET": self.secret,
            "UNDERSTUDY_MACHINE__TLS_CERTIFICATE": _in_one_line(self.certificate),
            "UNDERSTUDY_MACHINE__TLS_KEY": _in_one_line(self.folder / "key.pem"),
        }

    def connection(self, instance: Instance, *, now: Callable[[], float] = time.time) -> ConnectionString | None:
        """How the operator reaches an instance that runs; None while its port is not open."""
        port = instance.outside(SIGNALING_PORT)
        if port is None or not instance.address:
            return None
        token = auth.issue(self.secret, room=self.room, role="operator", lifetime_s=self.token_s, now_s=now())
        return ConnectionString(instance.address, port, self.room, token, tls=True, pin=self.pin)


class Records:
    """The folder of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, prefix: str, room: str, max_hours: float) -> Record:
        """A new one, under a label that nobody else has. Raises OSError."""
        label = f"{prefix}-{secrets.token_hex(LABEL_BYTES)}"
        folder = self._folder / label
        folder.mkdir(parents=True, mode=0o700)
        made = certificate.ensure(folder)
        token_s = max_hours * 3_600.0 + TOKEN_SLACK_S
        record = Record(label, room, folder, made.pin, secrets.token_urlsafe(SECRET_BYTES), token_s)
        content = {"room": room, "pin": record.pin, "secret": record.secret, "token_s": token_s}
        write_private(folder / "record.json", json.dumps(content) + "\n")
        return record

    def find(self, label: str) -> Record | None:
        """The record of a label, or None when this machine has not rented it."""
        folder = self._folder / label
        try:
            content = json.loads((folder / "record.json").read_text(encoding="utf-8"))
            return Record(label, content["room"], folder, content["pin"], content["secret"], content["token_s"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def knows(self, label: str) -> bool:
        """Whether an instance of this label was rented from here, whatever labels begin with now."""
        return re.fullmatch(rf"[a-z0-9-]+-[0-9a-f]{{{2 * LABEL_BYTES}}}", label) is not None and bool(self.find(label))

    def with_pin(self, pin: str) -> Record | None:
        """Whose certificate this is."""
        labels = [folder.name for folder in self._folder.glob("*/") if folder.is_dir()]
        return next((record for label in labels if (record := self.find(label)) and record.pin == pin), None)

    def forget(self, label: str) -> None:
        shutil.rmtree(self._folder / label, ignore_errors=True)


def _in_one_line(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
