"""Everything between a fresh checkout and a running double: `python3 deploy/bootstrap.py run`.

The Makefile's targets are one call of this program each, so that a machine without make does the same. It needs only
the standard library; started under a Python that is too old or too new, it looks for a better one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

HELP = """usage: python3 deploy/bootstrap.py COMMAND

commands:
  run           set up, fetch the embedded models, start the double and print its address
  local [ARGS]  the same, and be in a call as your double: camera, microphone and ears
  avatar ARGS   set up, fetch and convert MuseTalk's weights, and make an avatar: --help tells how
  setup         set up the virtual environment only
  test [ARGS]   set up and run the tests of a machine without a GPU; ARGS go to pytest
  deploy-gpu    rent a GPU and put the double on it; needs a key of Vast.ai
  undeploy-gpu  destroy everything that is rented, and prove it
  deploy ARGS   status, logs, stop, start, ssh, offers, cost, check: --help tells
  machine       set up and rehearse the start of a rented machine: from a clone to a call, twice
  check         set up and check format, lint and types
  bench NAME    set up and run one bench, or list them without a name
  fetch [NAMES] set up and fetch weights: models or groups of `python -m models list`
  serve         what deploy/onstart.sh calls: set up this machine and start its services
  clean         remove the virtual environment and caches of this checkout; weights stay
"""


def find_python() -> str | None:
    """A Python of a supported version, newest first; None when there is no other one to be found."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = shutil.which("python3.%d" % minor)  # noqa: UP031  # an old Python runs this line
        if found and subprocess.call([found, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            return found  # a version manager's stand-in for a version that is not installed fails here
    return None


def main(arguments: list[str]) -> int:
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        other = find_python()
        if other is None:
            version = ".".join(str(part) for part in sys.version_info[:2])
            sys.stderr.write("Understudy needs Python 3.11, 3.12 or 3.13 and this is %s; install one.\n" % version)  # noqa: UP031
            return 1
        return subprocess.call([other, os.path.abspath(__file__), *arguments])
    sys.path.insert(0, ROOT)
    from deploy.commands import run_command
    from deploy.console import SetupError

    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(HELP)
        return 0
    try:
        return run_command(arguments[0], arguments[1:])
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; what was done so far is kept.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
