"""Silero VAD v6 by onnxruntime, from the model file that faster-whisper carries (MIT); torch is not needed."""

from importlib.resources import as_file, files

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.interfaces import VAD_WINDOW_SAMPLES, Samples
from models.settings import HearingSettings

_CONTEXT_SAMPLES = 64
"""The model sees the end of the window before; without it the probabilities are wrong though plausible."""


def _zeros() -> NDArray[np.float32]:
    """The LSTM's hidden or cell state before anything was heard."""
    return np.zeros((1, 1, 128), np.float32)


class SileroVad:
    """VoiceActivityDetector; 0.2 ms of CPU a window. One session and one memory for one listener."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        with as_file(files("faster_whisper") / "assets" / "silero_vad_v6.onnx") as path:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = np.zeros((1, _CONTEXT_SAMPLES + VAD_WINDOW_SAMPLES), np.float32)
        self._hidden = _zeros()
        self._cell = _zeros()

    def probability(self, window: Samples) -> float:
        """Probability of speech in float32 [VAD_WINDOW_SAMPLES] at 16 kHz. Raises ValueError for another length."""
        if window.shape != (VAD_WINDOW_SAMPLES,):
            raise ValueError(f"Silero VAD takes {VAD_WINDOW_SAMPLES} samples at a time, not {window.shape}.")
        self._input[0, :_CONTEXT_SAMPLES] = self._input[0, -_CONTEXT_SAMPLES:]
        self._input[0, _CONTEXT_SAMPLES:] = window
        feed = {"input": self._input, "h": self._hidden, "c": self._cell}
        probabilities, self._hidden, self._cell = self._session.run(["speech_probs", "hn", "cn"], feed)
        return float(probabilities.flat[0])

    def reset(self) -> None:
        """Forget the context and the recurrent state."""
        self._input.fill(0)
        self._hidden = _zeros()
        self._cell = _zeros()


def create(settings: HearingSettings) -> SileroVad:
    return SileroVad()
