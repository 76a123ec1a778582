"""Whisper by faster-whisper and CTranslate2, with a window as short as the utterance."""

import logging
from pathlib import Path
from typing import Literal

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from models.asr.choice import COMPUTE_TYPES, choices
from models.asr.guards import Hypothesis, believable, loops, loud_enough, said_once
from models.errors import EngineFailed, EngineUnavailable, ModelError
from models.interfaces import HEARING_RATE_HZ, Samples, Transcript
from models.settings import HearingSettings
from models.weights import locate
from models.worker import Worker

logger = logging.getLogger(__name__)

STOCK_FRAMES = 3_000
"""Whisper's own window: 30 s of frames of 10 ms."""

SPARE_FRAMES = 400
"""Quiet after the utterance. The encoder's cost follows the window: 0.5 s of CPU where 30 s take 1.4 s; with less than
4 s to spare short clips fall into loops."""

LONGEST_SAMPLES = 29 * HEARING_RATE_HZ
"""Longer clips make Whisper invent an ending."""

TOKENS_PER_SECOND = 15
"""More than anybody speaks, also in Ukrainian; the bound makes a loop cheap."""

_MOST_TOKENS = 224
"""Half of the decoder's context, as in the original implementation."""


class WhisperRecognizer:
    """SpeechRecognizer on a thread of its own: greedy, one language, no timestamps."""

    def __init__(self, directory: Path, *, threads: int, device: Literal["cpu", "cuda"] = "cpu") -> None:
        """Load the CTranslate2 model in `directory` and try it. Raises EngineUnavailable."""
        try:
            model = WhisperModel(
                str(directory),
                device=device,
                compute_type=COMPUTE_TYPES[device],
                cpu_threads=threads,
                local_files_only=True,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineUnavailable(f"CTranslate2 cannot load {directory.name}: {error}.") from error
        self._name = directory.name
        self._model = model.model
        self._tokens = model.hf_tokenizer
        self._features = FeatureExtractor(feature_size=self._model.n_mels)
        if device == "cuda":
            self._try()
        self._worker = Worker("asr")

    def require(self, language: str) -> None:
        """Raise EngineUnavailable, with what to do, for a language that the model does not know."""
        try:
            self._tokenizer(language)
        except EngineFailed as error:
            raise EngineUnavailable(f"{error} Set UNDERSTUDY_ASR__LANGUAGE to a code such as en or uk.") from None

    async def transcribe(self, samples: Samples, *, language: str) -> Transcript:
        """Transcribe the first 29 s. A text that the guards do not believe is returned as no text.

        Raises EngineFailed for a language that the model does not know.
        """
        heard = samples[:LONGEST_SAMPLES].copy()
        if not loud_enough(heard):
            return Transcript("", language, no_speech_probability=1.0)
        hypothesis = await self._worker.call(lambda: self._recognize(heard, language))
        return Transcript(
            said_once(hypothesis.text) if believable(hypothesis) else "",
            language,
            hypothesis.no_speech_probability,
            hypothesis.mean_log_probability,
        )

    async def aclose(self) -> None:
        await self._worker.aclose()

    def _try(self) -> None:
        """CTranslate2 loads CUDA's libraries at the first use, and says only then that one is missing."""
        try:
            self._recognize(np.zeros(HEARING_RATE_HZ // 10, np.float32), "en")
        except RuntimeError as error:
            raise EngineUnavailable(f"The GPU cannot run {self._name}: {error}.") from error

    def _recognize(self, samples: Samples, language: str) -> Hypothesis:
        features: NDArray[np.float32] = self._features(samples)
        frames = -(-len(samples) * 100 // HEARING_RATE_HZ)
        tokenizer = self._tokenizer(language)
        longest = min(_MOST_TOKENS, 20 + frames * TOKENS_PER_SECOND // 100)
        window = min(STOCK_FRAMES, frames + SPARE_FRAMES)
        hypothesis = self._decode(features, window, tokenizer, longest)
        if loops(hypothesis) and window < STOCK_FRAMES:
            hypothesis = self._decode(features, STOCK_FRAMES, tokenizer, longest)
        return hypothesis

    def _tokenizer(self, language: str) -> Tokenizer:
        multilingual = self._model.is_multilingual
        if not multilingual and language != "en":
            raise EngineFailed(f"{self._name} understands English only; choose a multilingual model for {language}.")
        try:
            return Tokenizer(self._tokens, multilingual, task="transcribe", language=language)
        except ValueError:
            raise EngineFailed(f"Whisper does not know the language {language}.") from None

    def _decode(self, features: NDArray[np.float32], window: int, tokenizer: Tokenizer, longest: int) -> Hypothesis:
        """Decode greedily at most `longest` tokens within a window of frames, made even for the encoder's stride."""
        width = window + window % 2
        padded = np.zeros((1, features.shape[0], width), np.float32)
        kept = min(width, features.shape[1])
        padded[0, :, :kept] = features[:, :kept]
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        result = self._model.generate(
            self._model.encode(ctranslate2.StorageView.from_array(padded)),
            [prompt],
            beam_size=1,
            max_length=2 * longest,  # CTranslate2 gives half of it to the answer
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = result.sequences_ids[0]
        return Hypothesis(
            tokenizer.decode(tokens).strip(),
            result.no_speech_prob,
            result.scores[0] * len(tokens) / (len(tokens) + 1),
            cut_off=len(tokens) >= longest,
        )


def create(settings: HearingSettings) -> WhisperRecognizer:
    """The model that `settings.asr` names, where it says. Raises WeightsMissing and EngineUnavailable."""
    asr = settings.asr
    failure: ModelError | None = None
    for choice in choices(asr, gpus=ctranslate2.get_cuda_device_count()):
        try:
            directory = locate(choice.model, settings.weights.dir)
            recognizer = WhisperRecognizer(directory, threads=asr.threads, device=choice.device)
        except ModelError as error:
            failure = failure or error
            logger.warning("asr_not_chosen", extra={"model": choice.model, "device": choice.device, "code": error.code})
            continue
        recognizer.require(asr.language)
        logger.info("asr_chosen", extra={"model": choice.model, "device": choice.device})
        return recognizer
    assert failure is not None
    raise failure
