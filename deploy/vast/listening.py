"""How far an instance is: by its log, which Vast.ai gives, and its own /healthz, behind the certificate we gave it."""

import http.client
import json
import urllib.request
from collections.abc import Callable
from datetime import datetime

from deploy.local import performer_is_there
from deploy.machine.progress import Line, parse_line
from deploy.vast.client import Vast
from deploy.vast.instance import Instance
from deploy.vast.record import Record
from deploy.vast.steps import Heard
from deploy.vast.wire import WireError
from signaling.pin import trusting

LOG_LINES = 300
HEALTH_TIMEOUT_S = 5.0
LARGEST_HEALTH_BYTES = 1_000_000

Health = Callable[[Instance, Record], dict[str, object] | None]


class Listening:
    """To one rental after the other."""

    def __init__(self, vast: Vast, record: Record, health: Health, *, since: datetime | None = None) -> None:
        """`since`: what was logged before belongs to an earlier start of the same container."""
        self._vast = vast
        self._record = record
        self._health = health
        self._since = since
        self._instance: int | None = None
        self._text = ""
        self._said = 0

    def __call__(self, instance: Instance) -> Heard:
        if instance.id != self._instance:
            self._instance, self._text, self._said = instance.id, "", 0
        try:
            text = self._vast.logs(instance.id, lines=LOG_LINES)
        except WireError:
            text = self._text
        if text != self._text:
            self._text = text
            self._said += 1
        line = newest(text, self._since)
        ready = line is not None and (line.phase, line.state) == ("ready", "done")
        ready = ready or performer_is_there(self._health(instance, self._record), self._record.room)
        if line is None:
            return Heard(said=self._said, ready=ready)
        failed = (line.text or f"its {line.phase} failed") if line.state == "failed" and not ready else None
        return Heard(line.phase, line.text, self._said, failed, ready)


def newest(log: str, since: datetime | None = None) -> Line | None:
    """The last event in a log, or None while there is none. A host may write each line twice."""
    found = None
    for text in log.splitlines():
        line = parse_line(text.strip())
        if line is None or (since is not None and line.at < since):
            continue
        if found is None or line.at >= found.at:
            found = line
    return found


def read_health(instance: Instance, record: Record) -> dict[str, object] | None:
    """What the signaling service there answers, or None as long as nobody with our certificate does."""
    connection = record.connection(instance)
    if connection is None:
        return None
    try:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting(record.certificate))
        )
        with opener.open(f"{connection.page_url}/healthz", timeout=HEALTH_TIMEOUT_S) as response:
            answer = json.loads(response.read(LARGEST_HEALTH_BYTES))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return answer if isinstance(answer, dict) else None
