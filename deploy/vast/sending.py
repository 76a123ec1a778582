"""`python -m deploy send`: the user's avatar and the recording of a voice, over SSH, to a machine that is rented.

They are personal data: they go from this computer to the machine and nowhere else, into a folder that only its owner
reads, and they end with the machine's disk. Then the machine starts again with them.
"""

import argparse
import re
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from deploy.console import SetupError
from deploy.vast.desk import Desk, open_desk
from deploy.vast.fleet import NO_SSH, ours, ssh_command, the_one
from deploy.vast.order import CHECKOUT

STATE = "/workspace/understudy"
"""Where deploy/machine keeps what has to survive, on a rented machine."""
SSH_OPTIONS = (
    *("-o", "BatchMode=yes"),
    *("-o", "ConnectTimeout=20"),
    *("-o", "ServerAliveInterval=10"),
    *("-o", "ServerAliveCountMax=6"),
    *("-o", "StrictHostKeyChecking=accept-new"),
)
"""It never asks, and it notices when the line is dead. The key of a machine that is minutes old cannot be known."""
START_S = 2_700
AVATAR_VARIABLE = "UNDERSTUDY_FACE__AVATAR"
REFERENCE_VARIABLE = "UNDERSTUDY_TTS__FISH_SPEECH__REFERENCE"
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Parcel:
    """A folder here and its place there."""

    what: str
    folder: Path
    place: str

    @property
    def size_mb(self) -> float:
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file()) / 1e6


def send(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy send", description=__doc__)
    parser.add_argument("--avatar", type=Path, metavar="DIR", help=f"made by `make avatar`; else {AVATAR_VARIABLE}")
    parser.add_argument(
        "--voice", metavar="NAME", help=f"of `python -m models.tts references`; else {REFERENCE_VARIABLE}"
    )
    parser.add_argument("instance", type=int, nargs="?")
    options = parser.parse_args(arguments)
    desk = open_desk()
    parcels = pack(desk, options.avatar, options.voice)
    instance = the_one(ours(desk), options.instance)
    ssh = ssh_command(instance, SSH_OPTIONS)
    for parcel in parcels:
        desk.console.print(f"Sending {parcel.what}, {parcel.size_mb:.1f} MB …")
        _send(ssh, parcel)
    desk.console.print("The machine starts again with it; with new packages and weights that takes some minutes.")
    if _run(ssh, f"cd {CHECKOUT} && exec bash deploy/onstart.sh", timeout_s=START_S) != 0:
        raise SetupError("The machine did not start again; the lines above and `python -m deploy logs` say why.")
    return 0


def pack(desk: Desk, avatar: Path | None, voice: str | None) -> list[Parcel]:
    """What is to be sent. Raises SetupError."""
    of_settings = desk.variables.get(AVATAR_VARIABLE)
    avatar = avatar or (Path(of_settings) if of_settings else None)
    voice = voice or desk.variables.get(REFERENCE_VARIABLE) or None
    parcels = []
    if avatar is not None:
        if not avatar.is_dir():
            raise SetupError(f"{avatar} is no avatar; `make avatar` makes one.")
        parcels.append(Parcel("the avatar", avatar, f"{STATE}/avatar"))
    if voice is not None:
        if not NAME.fullmatch(voice):
            raise SetupError("The name of a voice is made of letters, digits, hyphens and underscores.")
        folder = user_data_path("understudy") / "voice" / "references" / voice
        if not (folder / "sample.wav").is_file() or not (folder / "sample.lab").is_file():
            raise SetupError(
                f"There is no voice {voice} in {folder.parent}; make it: `python -m models.tts references add {voice} "
                f"RECORDING --seed-dir {folder.parent.parent}`."
            )
        parcels.append(Parcel(f"the voice {voice}", folder, f"{STATE}/voice/references/{voice}"))
    if not parcels:
        raise SetupError("Say what to send: --avatar DIR, --voice NAME, or both.")
    return parcels


def _send(ssh: Sequence[str], parcel: Parcel) -> None:
    """Whole or not at all. Raises SetupError."""
    new = f"{parcel.place}.new"
    receive = (
        f"umask 077 && rm -rf {new} && mkdir -p {new} && tar -xzf - -C {new} && rm -rf {parcel.place} && "
        f"mv {new} {parcel.place}"
    )
    try:
        process = subprocess.Popen([*ssh, receive], stdin=subprocess.PIPE)
    except FileNotFoundError:
        raise SetupError(NO_SSH) from None
    with process:
        assert process.stdin is not None
        try:
            with tarfile.open(fileobj=process.stdin, mode="w|gz", format=tarfile.PAX_FORMAT) as archive:
                archive.add(parcel.folder, arcname=".", filter=_anonymous)
            process.stdin.close()
        except BrokenPipeError:
            pass  # ssh has said why
        except OSError as error:
            process.kill()
            raise SetupError(f"{parcel.folder} cannot be read: {error.strerror}.") from None
        if process.wait() != 0:
            raise SetupError(
                f"{parcel.what.capitalize()} could not be sent; Vast.ai must know your public SSH key, and the lines "
                "above say more."
            )


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Files and folders only, for their owner alone, and without the names of this computer's users."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o700 if entry.isdir() else 0o600
    return entry if entry.isfile() or entry.isdir() else None


def _run(ssh: Sequence[str], command: str, *, timeout_s: float) -> int:
    try:
        return subprocess.run([*ssh, command], stdin=subprocess.DEVNULL, timeout=timeout_s).returncode
    except subprocess.TimeoutExpired:
        return 1
