"""What every command works with: the settings, the account, the ledger, and the time."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values
from rich.console import Console

from deploy.settings import DeploySettings, Settings
from deploy.vast.account import open_account
from deploy.vast.checking import COMMAND
from deploy.vast.client import Vast
from deploy.vast.ledger import Ledger
from deploy.vast.listening import Health, read_health
from deploy.vast.record import Records

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Desk:
    """One run of the program."""

    settings: DeploySettings
    vast: Vast
    ledger: Ledger
    records: Records
    console: Console = field(default_factory=lambda: Console(highlight=False))
    root: Path = ROOT
    """The checkout whose `make local` is told of the double."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    pause: Callable[[float], None] | None = None
    """How a rental waits; None is a wait that ends with a signal."""
    health: Health = read_health
    """How the double itself is asked."""
    check_command: Sequence[str] = COMMAND
    variables: Mapping[str, str | None] = field(default_factory=dict)
    """What the environment and .env set."""


def open_desk() -> Desk:
    """Raises SettingsError, and SetupError when there is no key."""
    settings = Settings.load().deploy
    variables = {**dotenv_values(ROOT / ".env"), **os.environ}
    return Desk(settings, open_account(settings), Ledger(settings.dir), Records(settings.dir), variables=variables)
