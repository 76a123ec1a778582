"""Kokoro-82M on onnxruntime: phonemes in, sound and the length of each phoneme out.

The graph is changed in memory, without a library for it, by two facts about protocol buffers: a message may be given in
fragments that are simply concatenated, where repeated fields append (protobuf.dev, Encoding, "Last One Wins"), and a
name may be replaced by one of the same length. The model's own durations become an output, and before they are used
they are limited by the new input `most_frames`, so that silence around a clause is not computed only to be cut off:
of 460 ms for one word 100 are saved, of 620 for six words 50.
"""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.errors import EngineFailed, EngineUnavailable, WeightsCorrupt
from models.interfaces import Samples

MOST_SYMBOLS: Final = 510
"""The network's context is 512 tokens, two of them padding; a voice has one style for each number of symbols."""
_STYLE_SIZE: Final = 256

_DURATIONS: Final = b"/encoder/Clip_output_0"
_UNLIMITED: Final = b"/encoder/Clip_uncapped"
_LIMITS: Final = b"most_frames"
_NO_LIMIT: Final = np.float32(1e9)
_LEADING_FRAMES: Final = 14
"""Of 13-19 frames. With fewer the first phoneme is lost: Whisper base misheard 4 % of the words of 16 sentences in two
voices without a limit and with 14 frames, 6 % with 12, 14 % with 8."""
_TRAILING_FRAMES: Final = 1
"""For the final punctuation and the padding each; the pause is added afterwards, exactly."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Sound at 24 kHz and the frames of 600 samples that each symbol takes, the padding at both ends included."""

    samples: Samples
    symbols: str
    frames: tuple[int, ...]


class Stop:
    """Ends a running synthesis from another thread, within one node of the graph (under 30 ms)."""

    def __init__(self) -> None:
        self._options = ort.RunOptions()

    @property
    def options(self) -> Any:
        return self._options

    def requested(self) -> bool:
        return bool(self._options.terminate)

    def request(self) -> None:
        self._options.terminate = True


class KokoroModel:
    """One session and its voices. Loads in about a second; `say` may be called from one thread at a time."""

    def __init__(self, directory: Path, *, voice: str, others: Sequence[str] = (), threads: int) -> None:
        """`voice` is the one that speaks unless `say` is told another, which must be among `others`."""
        self._vocabulary = _vocabulary(directory / "vocab.json")
        self._styles = {name: _styles(directory / "voices", name) for name in (voice, *others)}
        self._voice = voice
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A spinning pool is 5 % faster alone, but burns a core that the face and the encoder need between nodes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        graph = with_durations((directory / "kokoro-v1.0.int8.onnx").read_bytes())
        try:
            self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own classes, which share no base
            raise EngineUnavailable(f"onnxruntime cannot load Kokoro: {error}") from error

    def symbols(self, phonemes: str) -> str:
        """`phonemes` without what the model's vocabulary lacks."""
        return "".join(symbol for symbol in phonemes if symbol in self._vocabulary)

    def say(self, symbols: str, *, speed: float, stop: Stop, voice: str | None = None) -> Utterance:
        """Synthesise up to MOST_SYMBOLS symbols of the vocabulary. Raises EngineFailed, also when stopped."""
        if not 0 < len(symbols) <= MOST_SYMBOLS:
            raise EngineFailed(f"Kokoro takes 1 to {MOST_SYMBOLS} symbols at a time, not {len(symbols)}.")
        tokens = np.array([[0, *(self._vocabulary[symbol] for symbol in symbols), 0]], np.int64)
        limits = np.full(tokens.shape, _NO_LIMIT, np.float32)
        limits[0, 0] = _LEADING_FRAMES
        limits[0, -1] = _TRAILING_FRAMES
        if symbols[-1] in ".,!?;:—…":
            limits[0, -2] = _TRAILING_FRAMES
        feeds = {
            "tokens": tokens,
            "style": self._styles[voice or self._voice][len(symbols) - 1][np.newaxis],
            "speed": np.array([speed], np.float32),
            _LIMITS.decode(): limits,
        }
        try:
            audio, frames = self._session.run(["audio", _DURATIONS.decode()], feeds, stop.options)
        except Exception as error:  # onnxruntime raises its own classes, which share no base
            raise EngineFailed(f"Kokoro could not speak {len(symbols)} symbols: {type(error).__name__}.") from error
        return Utterance(np.ravel(audio), f" {symbols} ", tuple(int(count) for count in np.ravel(frames)))


def with_durations(model: bytes) -> bytes:
    """The model with the output _DURATIONS and the input _LIMITS; field numbers are those of onnx.proto3."""
    produced = b"\x12" + bytes([len(_DURATIONS)])  # NodeProto.output
    if model.count(produced + _DURATIONS) != 1:
        raise WeightsCorrupt("The Kokoro model has no durations to read; fetch the weights again.")
    limit = _field(1, _UNLIMITED) + _field(1, _LIMITS) + _field(2, _DURATIONS) + _field(4, b"Min")
    graph = _field(1, limit)  # GraphProto.node
    graph += _field(11, _float_tensor(_LIMITS, _dimension(1) + _dimension("sequence_length")))  # GraphProto.input
    graph += _field(12, _float_tensor(_DURATIONS))  # GraphProto.output
    return model.replace(produced + _DURATIONS, produced + _UNLIMITED) + _field(7, graph)  # ModelProto.graph


def _float_tensor(name: bytes, dimensions: bytes | None = None) -> bytes:
    """A ValueInfoProto: name = 1, type = 2, TypeProto.tensor_type = 1, its elem_type = 1 (FLOAT = 1) and shape = 2."""
    shape = b"" if dimensions is None else _field(2, dimensions)
    return _field(1, name) + _field(2, _field(1, b"\x08\x01" + shape))


def _dimension(size: int | str) -> bytes:
    """A TensorShapeProto.Dimension: dim_value = 1 or dim_param = 2."""
    return _field(1, _field(2, size.encode()) if isinstance(size, str) else b"\x08" + _varint(size))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field (wire type 2)."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _vocabulary(path: Path) -> dict[str, int]:
    try:
        vocabulary = json.loads(path.read_text(encoding="utf-8"))["vocab"]
        return {str(symbol): int(token) for symbol, token in vocabulary.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsCorrupt(f"{path.name} is no vocabulary of Kokoro; fetch the weights again.") from error


def _styles(directory: Path, voice: str) -> NDArray[np.float32]:
    """One style vector for each number of symbols, float32 [510, 256]. Raises EngineUnavailable: no such voice."""
    available = sorted(path.stem for path in directory.glob("*.bin"))
    if voice not in available:
        raise EngineUnavailable(f"Kokoro has no voice {voice!r}; {_nearest(voice, available)}.")
    styles = np.fromfile(directory / f"{voice}.bin", np.float32)
    if styles.size != MOST_SYMBOLS * _STYLE_SIZE:
        raise WeightsCorrupt(f"{voice}.bin is no voice of Kokoro; fetch the weights again.")
    return styles.reshape(MOST_SYMBOLS, _STYLE_SIZE)


def _nearest(voice: str, available: Sequence[str]) -> str:
    if not available:
        return "its directory holds no voice at all, fetch the weights again"
    near = difflib.get_close_matches(voice, available, n=3, cutoff=0.4) or list(available[:5])
    return f"the nearest of {len(available)} are {', '.join(near)}"
