"""Whether a double can be met, the way its user meets it: `python -m deploy check [ADDRESS]`.

    signaling ─► the double is in its room ─► ICE and data channel ─► picture ─► a sentence, heard and understood

ADDRESS is what `make run` prints; without one the connection string in UNDERSTUDY_LOCAL__CONNECTION counts, or what
`make deploy-gpu` wrote. Each step is told with its time; the exit status is 0 when all went well.
"""

import argparse
import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

import numpy as np
import soxr

from deploy.witness import LOUD, RATE_HZ, CheckFailed, Witness
from models import registry
from models.errors import ModelError
from models.interfaces import HEARING_RATE_HZ
from models.settings import HearingSettings
from peer_local.settings import Settings as OperatorSettings
from signaling import protocol
from signaling.client import SignalingClient
from signaling.connection_string import ConnectionString
from signaling.errors import SignalingError
from signaling.settings import SettingsError

SENTENCE: Final = "One, two, three, four, five. The double is ready for the next call."
QUESTION: Final = "Please say hello."
"""For a viewer, who may not choose the words."""
SIGNALING_S: Final = 10.0
PERFORMER_S: Final = 20.0
CONNECT_S: Final = 20.0
PICTURE_S: Final = 10.0
SPEECH_S: Final = 60.0
TAIL_S: Final = 1.0
"""The network and the jitter buffer bring the last of the sound so long after the turn has ended."""
FRAME: Final = RATE_HZ // 50
LEAST_CONTRAST: Final = 4.0
LEAST_WORDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Target:
    """Where the double is met."""

    url: str
    room: str
    token: str = field(repr=False)
    pin: str | None = None

    @classmethod
    def read(cls, text: str) -> "Target":
        """A connection string, or an address with room and token behind the #. Raises ValueError, one sentence."""
        if text.startswith("understudy:"):
            try:
                found = ConnectionString.parse(text)
            except ValueError as error:
                raise ValueError(f"The connection string cannot be read: {error}.") from None
            return cls(found.socket_url, found.room, found.token, found.pin)
        address = urlsplit(text.strip())
        fields = parse_qs(address.fragment)
        if address.scheme not in ("http", "https") or not {"room", "token"} <= fields.keys():
            raise ValueError("The address must be the whole line that was printed, with #room=…&token=… at its end.")
        return cls(f"{address.scheme}://{address.netloc}", fields["room"][0], fields["token"][0])


class Steps:
    """Tells each step with its time; the total is the sum of what the user would wait."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock

    @asynccontextmanager
    async def step(self, name: str, limit_s: float, too_late: str) -> AsyncIterator[list[str]]:
        """One step; what is put into the list is shown beside its time. Raises CheckFailed with `too_late`."""
        began_s = self._clock()
        shown: list[str] = []
        try:
            async with asyncio.timeout(limit_s):
                yield shown
        except TimeoutError:
            raise CheckFailed(too_late) from None
        self.told(name, self._clock() - began_s, " ".join(shown))

    def told(self, name: str, took_s: float | None, text: str = "") -> None:
        """Say what one step took, or, without a time, what was found."""
        time_text = " " * 9 if took_s is None else f"{took_s:7.2f} s"
        self._say(f"  {name:<14}{time_text}   {text}".rstrip())


async def check(
    target: Target, *, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic, listens: bool = True
) -> None:
    """Meet the double once. Raises CheckFailed and SignalingError with a sentence about the first step that failed."""
    steps = Steps(say, clock)
    try:
        client = SignalingClient(target.url, target.room, target.token, pin=target.pin)
    except ValueError as error:
        raise CheckFailed(str(error)) from None
    witness = Witness(client, now=clock)
    try:
        async with steps.step("signaling", SIGNALING_S, _unreachable(client)) as shown:
            welcome = await witness.join()
            shown.append(f"in room {target.room} as {welcome.role}")
        async with steps.step("performer", PERFORMER_S, "The double is not in its room; its log says why."):
            performer = await witness.performer(welcome)
        too_late = f"No way to the double within {CONNECT_S:.0f} s: neither its UDP ports nor its TURN server answer."
        async with steps.step("ICE", CONNECT_S, too_late):
            await witness.connect(welcome, performer)
            hello = await witness.until(protocol.Hello)
        async with steps.step("first picture", PICTURE_S, "The double is connected and no picture of it arrives."):
            await witness.seen(lambda: witness.pictures > 0)
        words = await _speech(witness, steps)
        if witness.contrast < LEAST_CONTRAST:
            raise CheckFailed("The picture of the double is black; the log of the performer says why.")
        steps.told("pictures", None, f"{witness.pictures} of {hello.name}, contrast {witness.contrast:.0f}")
        if listens:
            await _understand(witness, words, steps, clock)
    finally:
        await witness.close()


async def _speech(witness: Witness, steps: Steps) -> str:
    """Let the double say one sentence; the words that it said."""
    witness.forget_sound()
    exact = witness.role == "operator"
    witness.send(protocol.Speak(text=SENTENCE) if exact else protocol.Say(text=QUESTION))
    async with steps.step("first sound", SPEECH_S, "The double was asked to speak and nothing was heard."):
        await witness.seen(lambda: witness.first_loud_s is not None)
    async with steps.step("sentence", SPEECH_S, "The double did not finish its sentence."):
        ended = await witness.until(protocol.TurnEnded)
        if ended.reason == "failed":
            raise CheckFailed("The double could not say its sentence; the log of the performer says why.")
        await asyncio.sleep(TAIL_S)
    sound = witness.sound()
    frames = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    speech = frames[np.abs(frames).max(axis=1, initial=0.0) > LOUD]
    level_db = 10 * float(np.log10(np.mean(speech**2, dtype=np.float64))) if len(speech) else -120.0
    steps.told("energy", None, f"{len(speech) * FRAME / RATE_HZ:.1f} s of speech at {level_db:.0f} dBFS")
    return ended.text or SENTENCE


async def _understand(witness: Witness, said: str, steps: Steps, clock: Callable[[], float]) -> None:
    """Compare what our ears understand with what was said; without weights this is left out."""
    began_s = clock()
    try:
        ears = await asyncio.to_thread(registry.create, "asr", HearingSettings())
    except ModelError:
        steps.told("words", None, "not compared: no speech recognition here (`python -m models fetch ears`)")
        return
    try:
        heard = soxr.resample(witness.sound(), RATE_HZ, HEARING_RATE_HZ).astype(np.float32)
        text = (await ears.transcribe(heard, language="en")).text
    finally:
        await ears.aclose()
    wanted, got = _words(said), set(_words(text))
    share = sum(word in got for word in wanted) / max(1, len(wanted))
    steps.told("words", clock() - began_s, f"{share:.0%} of {len(wanted)} understood")
    if share < LEAST_WORDS:
        raise CheckFailed("The double was heard, but its words are not understood; listen to it in the browser.")


_NUMBERS = {"1": "one", "2": "two", "3": "three", "4": "four", "5": "five"}


def _words(text: str) -> list[str]:
    return [_NUMBERS.get(word, word) for word in re.findall(r"[a-z']+|\d", text.lower())]


def _unreachable(client: SignalingClient) -> str:
    return f"{client.trouble or 'The signaling service does not answer'}; check the address and the port."


def run(arguments: Sequence[str]) -> int:
    """The command: 0 when the double can be met, 1 with one sentence when not, 2 for an address that is none."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy check",
        description="Meet the double once, as its user does, and tell how long each step takes.",
    )
    parser.add_argument("address", nargs="?", help="what `make run` prints (default: UNDERSTUDY_LOCAL__CONNECTION)")
    parser.add_argument("--deaf", action="store_true", help="do not compare the words")
    options = parser.parse_args(arguments)
    try:
        target = _target(options.address)
    except (ValueError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        asyncio.run(check(target, say=lambda line: print(line, flush=True), listens=not options.deaf))
    except (CheckFailed, SignalingError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print("The double can be met.")
    return 0


def _target(address: str | None) -> Target:
    if address is not None:
        return Target.read(address)
    local = OperatorSettings.load().local
    if local.connection is not None:
        return Target.read(local.connection.get_secret_value())
    if local.token is None:
        raise ValueError("Name what to check: the address that `make run` prints, or UNDERSTUDY_LOCAL__CONNECTION.")
    return Target(local.signaling_url, local.room, local.token.get_secret_value(), local.signaling_pin)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
