"""Run one of our programs as a child that ends with its parent: `python -m deploy.child MODULE [ARGS]`.

The parent holds the other end of standard input. When that closes, because the parent wants the child to stop or
because the parent is gone (kill -9 included), the program gets SIGTERM, and after GRACE_S it is ended.
"""

import _thread
import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 4.0
ENDED_HARD = 70


def main(arguments: list[str]) -> None:
    if not arguments:
        sys.exit(__doc__)
    if arguments[0] in ("-h", "--help"):
        print(__doc__)
        return
    module, *sys.argv[1:] = arguments
    threading.Thread(target=_follow_parent, name="follow-parent", daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _follow_parent() -> None:
    while os.read(0, 1024):
        pass
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(ENDED_HARD)


if __name__ == "__main__":
    main(sys.argv[1:])
