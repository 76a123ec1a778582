"""`python -m peer_local`: be in a call as the double's operator; or one command to the program that runs already.

    make local ARGS="--section.key value …"      run
    make local ARGS="doctor [--json] [--fix]"    what works on this machine, and the next step
    make local ARGS="kill"                       a command, see control_client.py

Imports are made where they are used: a kill switch must not wait for what only a run needs.
"""

import signal
import sys

if __name__ == "__main__":
    # Ctrl-C before a run takes it over, most of it imports, ends the program without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import difflib
import json
from collections.abc import Sequence

from peer_local.control_client import COMMANDS, WrongWords, describe, send
from peer_local.errors import ControlRefused

USAGE = """usage: make local ARGS="[COMMAND] [--section.key value …]"

The operator's side of the double: joins the room, hears the call, and puts the double's voice and face into a virtual
microphone and camera. Typed lines are for the double, lines that begin with / are commands. Without make, write
`.venv/bin/python -m peer_local` in place of `make local`; it needs an operator's token then.

commands:
  run (or none)             run, until /quit or Ctrl-C
  doctor [--json] [--fix]   look at the machine: what works, what does not, and what to do about it
  {commands}

  --print-config            print every setting with its source, as lines for .env
  --help                    show this

Every setting is a flag, an environment variable UNDERSTUDY_<SECTION>__<KEY>, or a line of a file named .env:
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 when it cannot go on or a command is refused, 2 when settings or words are wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        return _command(words[0], words[1:])
    return _program(words)


def _command(name: str, words: list[str]) -> int:
    if {"-h", "--help"} & set(words):
        print(
            f'usage: make local ARGS="{COMMANDS[name][1]}"'.replace('"text"', "text").replace('"edited text"', "text")
        )
        return 0
    as_json = "--json" in words
    try:
        reply = send(name, *(word for word in words if word != "--json"))
    except WrongWords as error:
        print(error, file=sys.stderr)
        return 2
    except ControlRefused as error:
        print(error, file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(reply))
    elif name == "status":
        print(describe(reply))
    return 0


def _program(arguments: list[str]) -> int:
    from peer_local.flags import load, parse
    from peer_local.flags_text import config_text, help_text
    from peer_local.settings import Settings
    from signaling.settings import SettingsError

    try:
        flags = parse(Settings, arguments, switches=("help", "print-config", "json", "fix"))
        if "help" in flags.switches:
            commands = "\n  ".join(usage for _, usage in COMMANDS.values())
            print(help_text(Settings, USAGE.replace("{commands}", commands)), end="")
            return 0
        if flags.words and flags.words[0] in COMMANDS:
            return _command(flags.words[0], list(flags.words[1:]))
        if flags.words not in ((), ("run",), ("doctor",)):
            raise SettingsError(_unknown(flags.words))
        settings = load(Settings, flags)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if "print-config" in flags.switches:
        print(config_text(settings, flags), end="")
        return 0
    if flags.words == ("doctor",):
        from peer_local.doctor import examine

        return examine(settings, as_json="json" in flags.switches, fix="fix" in flags.switches)
    from peer_local.program import run

    return run(settings)


def _unknown(words: Sequence[str]) -> str:
    """What is wrong with words that are neither a command nor a flag."""
    names = ("run", "doctor", *COMMANDS)
    if words[0] in names:  # those of COMMANDS have been sent
        return f"{words[0]} takes no {words[1]!r}; --help shows what it takes."
    if words[0].startswith("-"):
        return f"{words[0]} is not a flag; flags begin with two hyphens, --help shows them."
    near = difflib.get_close_matches(words[0].lower(), names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"commands are {', '.join(names)}."
    return f"{words[0] or 'An empty word'} is not a command; {hint}"


if __name__ == "__main__":
    sys.exit(main())
