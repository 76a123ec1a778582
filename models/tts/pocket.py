"""A cloned voice without a GPU: Kyutai's pocket-tts (100 M parameters, torch on the CPU) streams frames of 80 ms.

The package fetches its weights from its hub when it is first used: their terms have to be accepted there. It computes
on two threads of its own per clause; ours hands out what they make. It speaks its model's language, never Ukrainian.
"""

import logging
import tempfile
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from models.errors import EngineFailed, EngineUnavailable, WeightsMissing
from models.interfaces import Samples, Speech, SpeechSynthesizer
from models.settings import EngineSettings, PocketSettings
from models.tts.any_language import spoken
from models.tts.clause import pause_samples
from models.tts.edges import ClauseEdges
from models.tts.language import language_of
from models.tts.level import Leveller
from models.tts.markers import undirected
from models.tts.pcm import StreamResampler
from models.tts.recording import read_recording, wav_bytes
from models.tts.reference_check import REFERENCE_RATE_HZ, prepared
from models.worker import Worker

logger = logging.getLogger(__name__)

_LONGEST_S: Final = 60
_MOST_RECORDING_S: Final = 30
"""The package's own bound: a longer one only makes every clause slower."""
_HOW_TO_GET_WEIGHTS: Final = (
    "accept their terms at https://huggingface.co/kyutai/pocket-tts, log in with `hf auth login`, and start again "
    "with access to the hub"
)


class PocketModel(Protocol):
    """What is used of pocket_tts.TTSModel (version 4.0.1). One request at a time."""

    @property
    def sample_rate(self) -> int: ...

    has_voice_cloning: bool

    def get_state_for_audio_prompt(self, audio_conditioning: Path) -> Any: ...

    def generate_audio_stream(
        self, model_state: Any, text_to_generate: str, *, stop: threading.Event
    ) -> Iterator[Any]: ...


class PocketSynthesizer:
    """Speaks on a thread of its own; closing a stream stops the model at its next frame of 80 ms."""

    def __init__(self, model: PocketModel, voice: Any) -> None:
        """`voice` is the state that the model made of a recording; it is copied for every clause."""
        self._model = model
        self._voice = voice
        self._level = Leveller()
        self._worker = Worker("pocket")

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        """Yield the sound of `text` frame by frame. Raises EngineFailed; the next request may succeed."""
        line = spoken(undirected(text))
        if not line:
            return
        if language_of(line, otherwise="en") == "uk":
            raise EngineFailed("The voice pocket speaks no Ukrainian; choose kokoro or fish_speech for it.")
        async with aclosing(self._worker.stream(lambda: self._speak(line))) as pieces:
            async for samples in pieces:
                yield Speech(samples)

    async def aclose(self) -> None:
        """End what is being spoken, then the thread."""
        await self._worker.aclose()

    def _speak(self, line: str) -> Generator[Samples, None, None]:
        resampler, edges = StreamResampler(self._model.sample_rate), ClauseEdges(pause_samples(line))
        came = 0
        with closing(self._frames(line)) as frames:
            for frame in frames:
                came += len(frame)
                if came > _LONGEST_S * self._model.sample_rate:
                    raise EngineFailed("The voice pocket went on and on; the clause is given up.")
                sound = edges.push(self._level.level(resampler.push(frame)))
                if len(sound):
                    yield sound
        rest = edges.push(self._level.level(resampler.push(np.zeros(0, np.float32), last=True)))
        rest = np.concatenate((rest, edges.finish()))
        if len(rest):
            yield rest

    def _frames(self, line: str) -> Generator[Samples, None, None]:
        """The model's own frames. The model is taken to its end also when nobody wants the rest: it stops at the next
        frame then, and its threads must be gone before the next clause."""
        stop = threading.Event()
        frames = self._model.generate_audio_stream(self._voice, line, stop=stop)
        try:
            for frame in frames:
                yield np.ravel(np.asarray(frame.numpy(), np.float32))
        except EngineFailed:
            raise
        except Exception as error:  # torch raises whatever it likes
            raise EngineFailed(f"The voice pocket could not speak a clause: {type(error).__name__}.") from error
        finally:
            stop.set()
            _run_out(frames)


def _run_out(frames: Iterator[Any]) -> None:
    try:
        for _ in frames:
            pass
    except Exception as error:
        logger.warning("voice_wind_down_failed", extra={"error": type(error).__name__})


def create(settings: EngineSettings) -> SpeechSynthesizer:
    """Load the model (seconds; minutes when it must be fetched first) and listen to the recording.

    Raises EngineUnavailable without a recording, WeightsMissing without weights, ImportError without the package.
    """
    pocket = settings.tts.pocket
    if pocket.recording is None:
        raise EngineUnavailable(
            "The voice pocket needs 10-20 s of your voice: set UNDERSTUDY_TTS__POCKET__RECORDING to a sound file."
        )
    samples, rate_hz = _recording(pocket.recording)
    model = _model(pocket)
    if not model.has_voice_cloning:
        raise WeightsMissing(f"The weights of pocket-tts that can clone are not here: {_HOW_TO_GET_WEIGHTS}.")
    return PocketSynthesizer(model, _voice(model, samples, rate_hz))


def _recording(path: Path) -> tuple[Samples, int]:
    try:
        samples, rate_hz = read_recording(path)
    except EngineFailed as error:
        raise EngineUnavailable(str(error)) from None
    return samples[: _MOST_RECORDING_S * rate_hz], rate_hz


def _model(pocket: PocketSettings) -> PocketModel:
    from pocket_tts import TTSModel

    logging.getLogger("pocket_tts").setLevel(logging.ERROR)  # its warnings quote what is said
    chosen = {"config" if pocket.model.endswith((".yaml", ".yml")) else "language": pocket.model}
    try:
        model: PocketModel = TTSModel.load_model(**chosen)
    except FileNotFoundError as error:
        if not type(error).__module__.startswith("huggingface_hub"):
            raise EngineUnavailable(
                f"pocket-tts has no model {pocket.model}; leave UNDERSTUDY_TTS__POCKET__MODEL out for english."
            ) from None
        raise WeightsMissing(f"The weights of pocket-tts are not here: {_HOW_TO_GET_WEIGHTS}.") from None
    except Exception as error:  # the hub's client, the network below it, safetensors: their errors share no base
        raise WeightsMissing(
            f"The weights of pocket-tts cannot be had ({type(error).__name__}): {_HOW_TO_GET_WEIGHTS}."
        ) from error
    return model


def _voice(model: PocketModel, samples: Samples, rate_hz: int) -> Any:
    """The state that the model makes of the recording, at the level of speech and without silence around it."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "voice.wav"
        file.write_bytes(wav_bytes(prepared(samples, rate_hz), REFERENCE_RATE_HZ))
        try:
            return model.get_state_for_audio_prompt(file)
        except Exception as error:  # torch raises whatever it likes
            raise EngineUnavailable(
                f"pocket-tts can make no voice of the recording ({type(error).__name__}); record 10-20 s of speech."
            ) from error
