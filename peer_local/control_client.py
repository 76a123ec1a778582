"""The other end of control.py: one command to the running program, then done.

    make local ARGS="takeover self"    or kill, mode repeat, say …, interrupt, approve, veto, record start, status

Only the standard library: the interpreter's start is what a command costs, and a kill switch must not wait for more.
"""

import http.client
import json
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from peer_local import control_file
from peer_local.errors import ControlRefused

HOST = "127.0.0.1"
TIMEOUT_S = 2.0
NOT_RUNNING = "No double is running on this machine; start it with `make local`."

WHO = ("self", "double", "nobody")
MODES = ("converse", "repeat", "approve", "addressed")
"""As peer_local.interfaces.Who and peer_local.settings.Mode, which cost half a second to import."""

Body = dict[str, Any]


def _nothing(words: Sequence[str]) -> Body | None:
    return None if words else {}


def _one(key: str, *choices: str) -> Callable[[Sequence[str]], Body | None]:
    return lambda words: {key: words[0]} if len(words) == 1 and words[0] in choices else None


def _text(words: Sequence[str]) -> Body | None:
    return {"text": " ".join(words)} if words else None


COMMANDS: dict[str, tuple[Callable[[Sequence[str]], Body | None], str]] = {
    "status": (_nothing, "status [--json]"),
    "takeover": (_one("who", *WHO), f"takeover {'|'.join(WHO)}"),
    "kill": (_nothing, "kill"),
    "mode": (_one("mode", *MODES), f"mode {'|'.join(MODES)}"),
    "say": (_text, 'say "text"'),
    "interrupt": (_nothing, "interrupt"),
    "approve": (lambda words: _text(words) or {}, 'approve ["edited text"]'),
    "veto": (_nothing, "veto"),
    "record": (
        lambda words: {"on": words[0] == "start"} if words in (["start"], ["stop"]) else None,
        "record start|stop",
    ),
}
"""Command → what its words mean as a request, and how it is written."""


class WrongWords(ControlRefused):
    """The words after a command are not what it takes."""


def send(
    command: str,
    *words: str,
    port: int | None = None,
    places: Sequence[Path] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> dict[str, Any]:
    """Give a command of COMMANDS to the program that was started last (the one on `port`, if given); its reply.

    Raises ControlRefused, one sentence: nothing runs, it does not answer, it refuses; WrongWords for wrong words.
    """
    body_of, usage = COMMANDS[command]
    body = body_of(list(words))
    if body is None:
        name, _, choices = usage.partition(" ")
        *others, last = choices.split("|")
        said = f"{name} {', '.join(others)} or {last}" if others else f"`{usage}`"
        raise WrongWords(f"Write {said}.")
    for key, path in control_file.find(port, places):
        try:
            status, reply = _request(key, command, body, timeout_s)
        except ConnectionError:  # a program that was killed left its key; nobody can listen there with that token
            control_file.take_back(key, path)
            continue
        except TimeoutError:
            raise ControlRefused(f"The double does not answer within {timeout_s:g} s; restart it.") from None
        except (OSError, http.client.HTTPException):
            continue
        if status == 401 or reply is None:  # another program has the port now
            continue
        if status == 200:
            return reply
        error = reply.get("error")
        raise ControlRefused(error["message"] if isinstance(error, dict) else f"The double answers HTTP {status}.")
    raise ControlRefused(NOT_RUNNING)


def describe(reply: dict[str, Any], indent: str = "") -> str:
    """A reply as lines `name: value` for a person; what is unknown is left out."""
    lines = []
    for name, value in reply.items():
        title = name.replace("_", " ")
        if isinstance(value, dict):
            lines += [f"{indent}{title}", describe(value, indent + "  ")] if value else []
        elif isinstance(value, list):
            lines += [f"{indent}{title}: {', '.join(map(str, value))}"] if value else []
        elif value is not None:
            shown = ("yes" if value else "no") if isinstance(value, bool) else value
            lines.append(f"{indent}{title}: {round(value, 3) if isinstance(value, float) else shown}")
    return "\n".join(lines)


def _request(key: control_file.Key, command: str, body: Body, timeout_s: float) -> tuple[int, dict[str, Any] | None]:
    """Status and JSON object of the answer; None for the object when there is none."""
    with closing(http.client.HTTPConnection(HOST, key.port, timeout=timeout_s)) as connection:
        headers = {"Authorization": f"Bearer {key.token}", "Content-Type": "application/json"}
        if command == "status":
            connection.request("GET", "/status", headers=headers)
        else:
            connection.request("POST", f"/{command}", json.dumps(body).encode(), headers)
        response = connection.getresponse()
        reply: Any = None
        with suppress(ValueError):
            reply = json.loads(response.read(1 << 20))
        return response.status, reply if isinstance(reply, dict) else None
