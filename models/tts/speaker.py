"""Who is speaking: an embedding of a voice, and how alike two voices are.

The network is the GE2E speaker encoder (Wan et al. 2018, "Generalized End-to-End Loss for Speaker Verification") with
the weights that the package Resemblyzer carries: three LSTM layers of 256, one linear layer, ReLU, length 1. That
package would bring librosa, webrtcvad and torch; here it is numpy, with the same result (cosine 1.000000).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from models.interfaces import HEARING_RATE_HZ, Samples
from models.tts.recording import resampled
from models.tts.speaker_features import parts
from models.tts.torch_file import read_tensors
from models.weights import locate

_LAYERS: Final = 3
_SIZE: Final = 256
_MOST_AT_ONCE: Final = 16
_BLOCK: Final = 64
"""Products so small that OpenBLAS takes one thread for each (up to 2^18 multiplications): on cores that others use, its
threads wait for one another, and 10 s of sound took 1.5 s instead of 0.2."""
_NAMES: Final = (
    *(f"lstm.{kind}_l{layer}" for layer in range(_LAYERS) for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
    *("linear.weight", "linear.bias"),
)


class SpeakerEncoder:
    """Embeds voices; 0.2 s of computing for 10 s of sound."""

    def __init__(self, weights: Path) -> None:
        """`weights` is Resemblyzer's pretrained.pt. Raises WeightsCorrupt."""
        self._weights = read_tensors(weights, "model_state", _NAMES)

    def embedding(self, samples: Samples, rate_hz: int) -> Samples:
        """Float32 [256] of length 1, of mono speech of any length; the longer, the steadier, from 5 s on it is good."""
        sound = resampled(samples, rate_hz, HEARING_RATE_HZ) if rate_hz != HEARING_RATE_HZ else samples
        spectra = parts(sound)
        groups = range(0, len(spectra), _MOST_AT_ONCE)
        return mean_embedding(np.concatenate([self._embedded(spectra[at : at + _MOST_AT_ONCE]) for at in groups]))

    def _embedded(self, spectra: Samples) -> Samples:
        """The parts' own embeddings, float32 [parts, 256]."""
        steps = np.swapaxes(spectra, 0, 1)
        for layer in range(_LAYERS):
            steps = self._layer(layer, steps)
        raw = np.maximum(0, steps[-1] @ self._weights["linear.weight"].T + self._weights["linear.bias"])
        embedded: Samples = raw / np.maximum(1e-9, np.linalg.norm(raw, axis=1, keepdims=True))
        return embedded

    def _layer(self, layer: int, steps: Samples) -> Samples:
        """One LSTM over float32 [frames, parts, channels]; the gates lie in the order input, forget, cell, output."""
        of_input, of_state, *biases = (
            self._weights[f"lstm.{kind}_l{layer}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        driven = (steps.reshape(-1, steps.shape[2]) @ of_input.T + sum(biases)).reshape(*steps.shape[:2], -1)
        blocks = np.ascontiguousarray(of_state.reshape(-1, _BLOCK, _SIZE).swapaxes(1, 2))
        state = cell = np.zeros((steps.shape[1], _SIZE), np.float32)
        out = np.empty((*steps.shape[:2], _SIZE), np.float32)
        for frame, drive in enumerate(driven):
            gates = drive + (state @ blocks).swapaxes(0, 1).reshape(drive.shape)
            into, keep, _, give = np.split(_sigmoid(gates), 4, axis=1)
            cell = keep * cell + into * np.tanh(gates[:, 2 * _SIZE : 3 * _SIZE])
            state = give * np.tanh(cell)
            out[frame] = state
        return out


def encoder(weights_dir: Path) -> SpeakerEncoder:
    """The encoder of the catalog. Raises WeightsMissing or WeightsCorrupt."""
    return SpeakerEncoder(locate("voice-encoder", weights_dir) / "pretrained.pt")


def similarity(one: Samples, other: Samples) -> float:
    """Cosine of two embeddings: 1 for the same, about 0.6 for strangers."""
    return float(one @ other)


def mean_embedding(embeddings: Sequence[Samples] | Samples) -> Samples:
    """One embedding for several of one speaker."""
    mean = np.mean(embeddings, axis=0)
    return np.asarray(mean / max(1e-9, float(np.linalg.norm(mean))), np.float32)


def _sigmoid(values: Samples) -> Samples:
    result: Samples = 0.5 + 0.5 * np.tanh(0.5 * values)
    return result
