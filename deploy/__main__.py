"""`python -m deploy COMMAND`: rent a GPU for the double, look after it, give it back.

Imports are made where they are used: `down` must not wait for what only a test call needs.
"""

import difflib
import io
import logging
import sys
from collections.abc import Sequence
from importlib import import_module

from deploy.console import SetupError
from deploy.vast.ledger import LedgerError
from deploy.vast.wire import WireError
from signaling.settings import SettingsError

COMMANDS = {
    "up": ("deploy.vast.up:up", "rent a GPU and put the double on it (--yes, --keep)"),
    "status": ("deploy.vast.commands:status", "what is rented and how it is (--json)"),
    "logs": ("deploy.vast.commands:logs", "the machine's log (--follow)"),
    "send": ("deploy.vast.sending:send", "your avatar or voice to the machine (--avatar, --voice)"),
    "ssh": ("deploy.vast.commands:ssh", "a shell on the machine"),
    "check": ("deploy.check:run", "a test call with the double"),
    "stop": ("deploy.vast.commands:stop", "stop the machine; its disk goes on costing money"),
    "start": ("deploy.vast.commands:start", "start a stopped machine"),
    "down": ("deploy.vast.commands:down", "destroy everything that is rented, and prove it"),
    "offers": ("deploy.vast.commands:offers", "what could be rented now"),
    "cost": ("deploy.vast.commands:cost", "what was spent"),
}


def usage() -> str:
    lines = "\n".join(f"  {name:<8} {text}" for name, (_, text) in COMMANDS.items())
    return (
        f"usage: python -m deploy COMMAND\n\ncommands:\n{lines}\n\n"
        "Each takes --help. Settings are UNDERSTUDY_DEPLOY__* "
        "in the environment or in a file named .env; deploy/README.md lists them."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 when it does not succeed, 2 when words or settings are wrong, 130 when it was stopped."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    name = words[0]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"commands are {', '.join(COMMANDS)}."
        print(f"{name} is not a command; {hint}", file=sys.stderr)
        return 2
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a letter that it lacks must not end a rental
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    # It warns of each try; `check` says in one sentence what came of them.
    logging.getLogger("signaling.client").setLevel(logging.ERROR)
    module, function = COMMANDS[name][0].split(":")
    try:
        status: int = getattr(import_module(module), function)(words[1:])
        return status
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (SetupError, WireError, LedgerError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{name} cannot go on: {where}{error.strerror or error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
