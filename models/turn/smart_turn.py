"""Smart Turn v3.2 (pipecat-ai, BSD-2): is the sentence finished? Listens to the melody, in 23 languages."""

from pathlib import Path

import numpy as np
import onnxruntime

from models.errors import WeightsMissing
from models.interfaces import HEARING_RATE_HZ, Samples
from models.settings import HearingSettings
from models.turn.features import log_mel
from models.weights import locate
from models.worker import Worker

MODEL = "smart-turn-v3.2"
LISTENS_SAMPLES = 8 * HEARING_RATE_HZ
"""The model takes the last 8 s."""


class SmartTurn:
    """EndOfTurnDetector on a thread of its own; about 0.1 s of one core a decision."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._worker = Worker("turn")

    async def probability(self, samples: Samples) -> float:
        """Probability that the speaker is done; over 0.5 means done. Nothing heard is 0."""
        if not len(samples):
            return 0.0
        heard = samples[-LISTENS_SAMPLES:].copy()
        return await self._worker.call(lambda: self._decide(heard))

    async def aclose(self) -> None:
        await self._worker.aclose()

    def _decide(self, samples: Samples) -> float:
        features = log_mel(samples, length_samples=LISTENS_SAMPLES)
        (probabilities,) = self._session.run(None, {"input_features": features[np.newaxis]})
        return float(probabilities.flat[0])


def create(settings: HearingSettings) -> SmartTurn:
    """Raises WeightsMissing."""
    directory = locate(MODEL, settings.weights.dir)
    path = next(iter(sorted(directory.glob("*.onnx"))), None)
    if path is None:
        raise WeightsMissing(f"{directory} holds no .onnx file; fetch {MODEL} again.")
    return SmartTurn(path)
