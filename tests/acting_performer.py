"""A performer with fake engines as a program of its own: `python -m tests.acting_performer --url URL --token TOKEN`.

All but the engines is the product's. It says how many of the listener's lines it remembers, in words.
"""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Sequence

from models.asr.scripted import ScriptedRecognizer
from models.face.counter import CounterFace
from models.interfaces import Message
from models.llm.scripted import ScriptedModel, pieces
from models.tts.tone import ToneSynthesizer
from models.turn.always import AlwaysDone
from models.vad.energy import EnergyVad
from peer_remote.metrics import Metrics
from peer_remote.performer import Ears, perform
from peer_remote.settings import PersonaSettings, Settings
from peer_remote.turn import Cast
from signaling.client import SignalingClient

NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FACE_PX = 256


class RememberingModel(ScriptedModel):
    """LanguageModel whose answer shows what it was given."""

    async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[str, None]:
        lines = sum(message.role == "user" for message in messages)
        for piece in pieces(f"Lines that I remember: {NUMBERS[min(lines, 9)]}."):
            yield piece


async def act(options: argparse.Namespace) -> None:
    settings = Settings(persona=PersonaSettings(openings=(), examples=()))
    cast = Cast(RememberingModel(), ToneSynthesizer(), CounterFace(FACE_PX))
    ears = Ears(EnergyVad, AlwaysDone(), ScriptedRecognizer(("hello",)))
    wire = SignalingClient(options.url, options.room, options.token)
    await perform(settings, cast, ears, wire=wire, metrics=Metrics())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.acting_performer", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--room", default="main")
    asyncio.run(act(parser.parse_args()))


if __name__ == "__main__":
    main()
