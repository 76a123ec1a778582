"""Fish Speech's own model and codec in this process, without its server: what each step costs."""

import gc
import io
import queue
import statistics
import time
import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from tests.bench.s1_mini_checkpoint import CODEC, published

FRAMES_PER_S: Final = 44_100 / 2_048
"""What the model makes a token for: 21.5 a second."""
SPEECH_S: Final = (1, 3, 10)
REFERENCE_S: Final = (15, 40)
CLAUSE_TOKENS: Final = 64
"""3 s, which ten words take."""
FEW: Final = 2
"""The fewest that the published loop makes."""


class Model:
    """The dual autoregressive transformer as the server loads it, with or without compilation."""

    def __init__(self, checkout: Path, checkpoint: Path, device: torch.device, *, compiled: bool) -> None:
        self._inference = published(checkout, "fish_speech.models.text2semantic.inference")
        self._device, self._compiled = device, compiled
        begin_s = time.perf_counter()
        self._model, self._step = self._inference.init_model(str(checkpoint), device, torch.bfloat16, compile=compiled)
        with device:
            self._model.setup_caches(1, self._model.config.max_seq_len, dtype=torch.bfloat16)
        synchronize(device)
        self.load_s = time.perf_counter() - begin_s

    def generate_s(self, line: str, tokens: int, reference: tuple[str, torch.Tensor]) -> float:
        """Seconds until `tokens` tokens of `line` are made in the voice of `reference`, prefill included."""
        text, codes = reference
        synchronize(self._device)
        begin_s = time.perf_counter()
        responses = self._inference.generate_long(
            model=self._model,
            device=self._device,
            decode_one_token=self._step,
            text=line,
            max_new_tokens=tokens,
            compile=self._compiled,
            temperature=0.7,
            prompt_text=[text],
            prompt_tokens=[codes],
        )
        made = next(responses).codes.shape[1] + 1
        synchronize(self._device)
        spent_s = time.perf_counter() - begin_s
        list(responses)
        return spent_s * (tokens - 1) / max(1, made - 1) if made != tokens else spent_s


def measure_model(
    checkout: Path, checkpoint: Path, device: torch.device, line: str, words: Callable[[float], str], *, compiled: bool
) -> dict[str, float]:
    """Figures of one clause after references of 15 and 40 s; `words` gives what is said in so many seconds."""
    name, rounds = ("compiled", 10) if compiled else ("eager", 4)
    forget_peak(device)
    model = Model(checkout, checkpoint, device, compiled=compiled)
    figures = {f"{name}_load_s": model.load_s}
    for seconds in REFERENCE_S:
        reference = (words(seconds), random_codes(seconds))
        first_s = model.generate_s(line, CLAUSE_TOKENS, reference)
        figures.setdefault(f"{name}_first_run_s", first_s)
        few_s, clause_s = (
            statistics.median(model.generate_s(line, tokens, reference) for _ in range(rounds))
            for tokens in (FEW, CLAUSE_TOKENS)
        )
        token_s = (clause_s - few_s) / (CLAUSE_TOKENS - FEW)
        figures |= {
            f"{name}_prefill_{seconds}s_ms": 1_000 * (few_s - token_s * (FEW - 1)),
            f"{name}_token_{seconds}s_ms": 1_000 * token_s,
            f"{name}_tokens_per_s_{seconds}s": 1 / token_s,
            f"{name}_times_real_time_{seconds}s": 1 / token_s / FRAMES_PER_S,
            f"{name}_clause_{seconds}s_ms": 1_000 * clause_s,
        }
    figures[f"{name}_memory_gib"] = peak_gib(device)
    del model
    gc.collect()
    return rounded(figures)


def measure_codec(checkout: Path, checkpoint: Path, device: torch.device, *, rounds: int = 10) -> dict[str, float]:
    """Milliseconds that the codec takes for sound of some lengths, up to numbers on the host, and for a reference."""
    forget_peak(device)
    inference = published(checkout, "fish_speech.models.dac.inference")
    engine_class = published(checkout, "fish_speech.inference_engine").TTSInferenceEngine
    sample = published(checkout, "fish_speech.models.text2semantic.inference").GenerateResponse
    begin_s = time.perf_counter()
    codec = inference.load_model(CODEC, str(checkpoint / "codec.pth"), device=device)
    figures = {"codec_load_s": time.perf_counter() - begin_s}
    engine: Any = engine_class(queue.Queue(), codec, torch.bfloat16, False)
    with torch.inference_mode():
        for seconds in SPEECH_S:
            response = sample(action="sample", codes=random_codes(seconds).to(device))
            spoken = partial(engine.get_audio_segment, response)
            figures[f"codec_decode_{seconds}s_ms"] = _median_ms(spoken, device, rounds)
        for seconds in REFERENCE_S:
            encoded = partial(engine.encode_reference, noise(seconds), True)
            figures[f"codec_encode_{seconds}s_ms"] = _median_ms(encoded, device, 3)
    figures["codec_memory_gib"] = peak_gib(device)
    return rounded(figures)


def random_codes(seconds: float) -> torch.Tensor:
    """Codes int [10, frames], as of a recording of `seconds`."""
    generator = np.random.default_rng(0)
    frames = round(seconds * FRAMES_PER_S)
    return torch.from_numpy(
        np.concatenate([generator.integers(0, 4_096, (1, frames)), generator.integers(0, 1_024, (9, frames))])
    )


def noise(seconds: float, *, rate_hz: int = 44_100) -> bytes:
    """A WAV file, mono, at -26 dB."""
    samples = np.random.default_rng(0).normal(0, 0.05, round(seconds * rate_hz)).clip(-1, 1)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes((samples * 32_767).astype("<i2").tobytes())
    return file.getvalue()


def rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in figures.items()}


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_gib(device: torch.device) -> float:
    """Reserved at most since `forget_peak`; 0 without a GPU."""
    return torch.cuda.max_memory_reserved(device) / 2**30 if device.type == "cuda" else 0.0


def _median_ms(call: Callable[[], object], device: torch.device, rounds: int) -> float:
    call()
    spent_s = []
    for _ in range(rounds):
        synchronize(device)
        begin_s = time.perf_counter()
        call()
        synchronize(device)
        spent_s.append(time.perf_counter() - begin_s)
    return 1_000 * statistics.median(spent_s)
