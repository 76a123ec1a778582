"""One GGUF model and its key-value cache, straight on llama.cpp's C interface."""

import ctypes
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from models.errors import EngineFailed, EngineUnavailable, WeightsMissing
from models.llm.sampling import Sampling
from models.weights import locate

GPU_BATCH_TOKENS = 512
CPU_BATCH_TOKENS = 64
"""Most tokens of one step. llama.cpp reserves room for the logits of all of them: 300 MB for 512 of Qwen's."""

PENALTY_TOKENS = 64

_PIECE_BYTES = 256
_NO_SEED = 0xFFFFFFFF
"""LLAMA_DEFAULT_SEED: a new seed for every sampler."""


@cache
def _library() -> Any:
    """llama_cpp, with OpenMP threads that soon sleep at a barrier instead of spinning.

    libgomp reads its variables once, when it is loaded. With its default spin count and another process on one of two
    cores a 1.5 B model falls from 16 to 0.6 tokens a second; with 1,000 spins it keeps 6 to 9.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        import llama_cpp
    except (OSError, RuntimeError) as error:
        raise EngineUnavailable(f"llama.cpp's library cannot be loaded: {error}; build it again.") from error
    llama_cpp.llama_log_set(_silence(), ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    return llama_cpp


@cache
def _silence() -> Any:
    """A log callback that drops everything; llama.cpp keeps its address as long as the process lives."""
    import llama_cpp

    return llama_cpp.llama_log_callback(lambda level, text, data: None)


class Gguf:
    """A model, one context and the tokens that its cache holds. Not thread-safe; `sample` follows a `decode`."""

    def __init__(self, path: Path, *, context_tokens: int, threads: int, lora: Path | None = None) -> None:
        """Load `path`, with the adapter `lora`. Raises EngineUnavailable: it cannot be read, or there is no room."""
        self._library = library = _library()
        model_options = library.llama_model_default_params()
        on_gpu = library.llama_supports_gpu_offload()
        model_options.n_gpu_layers = 999 if on_gpu else 0
        # GCC drops the stores to ggml's AMX tile configuration, which ends in a segmentation fault
        # (llama.cpp pull request 26954). Repacked weights cannot be had without AMX where both were compiled in.
        model_options.use_extra_bufts = b"AMX_INT8 = 1" not in library.llama_print_system_info()
        self._model = library.llama_model_load_from_file(str(path).encode(), model_options)
        if not self._model:
            raise EngineUnavailable(f"llama.cpp cannot load {path.name}; fetch the weights again.")
        options = library.llama_context_default_params()
        options.n_ctx = context_tokens
        self.batch_tokens = GPU_BATCH_TOKENS if on_gpu else CPU_BATCH_TOKENS
        options.n_batch = options.n_ubatch = self.batch_tokens
        options.n_threads = options.n_threads_batch = threads
        options.flash_attn_type = library.LLAMA_FLASH_ATTN_TYPE_ENABLED
        options.no_perf = True
        self._context = library.llama_init_from_model(self._model, options)
        if not self._context:
            library.llama_model_free(self._model)
            raise EngineUnavailable(
                f"There is no memory for a context of {context_tokens} tokens; lower UNDERSTUDY_LLM__CONTEXT_TOKENS."
            )
        self._sampler: Any = None
        if lora is not None:
            self._adapt(lora)
        self._memory = library.llama_get_memory(self._context)
        self._vocabulary = library.llama_model_get_vocab(self._model)
        self.context_tokens: int = library.llama_n_ctx(self._context)
        self.cached: list[int] = []
        """The tokens that the cache holds, in order."""

    @property
    def chat_template(self) -> str | None:
        """The Jinja template that the file carries."""
        template: bytes | None = self._library.llama_model_chat_template(self._model, None)
        return None if template is None else template.decode()

    @property
    def bos(self) -> str:
        """The text of the token that begins a sequence, or nothing."""
        return self._text(self._library.llama_vocab_bos(self._vocabulary))

    @property
    def eos(self) -> str:
        """The text of the token that ends a sequence, or nothing."""
        return self._text(self._library.llama_vocab_eos(self._vocabulary))

    def tokenize(self, text: str) -> list[int]:
        """Tokens of `text`; the text of a control token becomes that token."""
        raw = text.encode()
        room = len(raw) + 8
        tokens = (ctypes.c_int32 * room)()
        count: int = self._library.llama_tokenize(self._vocabulary, raw, len(raw), tokens, room, False, True)
        if count < 0:
            raise EngineFailed("llama.cpp cannot tokenize the conversation.")
        return list(tokens[:count])

    def piece(self, token: int) -> bytes:
        """The bytes of `token`, which may be a part of a character; none for a control token."""
        return self._bytes(token, special=False)

    def plain(self, text: str) -> str:
        """`text` without anything that would be read as a control token, such as an end of turn."""
        while controls := [token for token in self.tokenize(text) if self._is_control(token)]:
            shorter = text
            for token in controls:
                shorter = shorter.replace(self._text(token), "")
            if shorter == text:
                return text
            text = shorter
        return text

    def ends_turn(self, token: int) -> bool:
        return bool(self._library.llama_vocab_is_eog(self._vocabulary, token))

    def keep(self, count: int) -> None:
        """Forget what the cache holds after its first `count` tokens."""
        if count < len(self.cached):
            if not self._library.llama_memory_seq_rm(self._memory, 0, count, -1):
                self._library.llama_memory_clear(self._memory, True)
                count = 0
            del self.cached[count:]

    def decode(self, tokens: Sequence[int]) -> None:
        """Append up to batch_tokens to the cache. Raises EngineFailed; the cache is empty then, and usable."""
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        batch = self._library.llama_batch_get_one(array, len(tokens))
        status: int = self._library.llama_decode(self._context, batch)
        if status:
            self._library.llama_memory_clear(self._memory, True)
            self.cached.clear()
            raise EngineFailed(f"llama.cpp could not evaluate the conversation (status {status}).")
        self.cached.extend(tokens)

    def start_sampling(self, sampling: Sampling) -> None:
        """Choose how `sample` picks."""
        library = self._library
        self._free_sampler()
        self._sampler = library.llama_sampler_chain_init(library.llama_sampler_chain_default_params())
        samplers = []
        if sampling.repeat_penalty != 1:
            size = library.llama_vocab_n_tokens(self._vocabulary)
            samplers.append(
                library.llama_sampler_init_penalties(size, PENALTY_TOKENS, sampling.repeat_penalty, 0.0, 0.0)
            )
        if sampling.temperature == 0:
            samplers.append(library.llama_sampler_init_greedy())
        else:
            samplers += [
                library.llama_sampler_init_top_k(sampling.top_k),
                library.llama_sampler_init_top_p(sampling.top_p, 1),
                library.llama_sampler_init_min_p(sampling.min_p, 1),
                library.llama_sampler_init_temp(sampling.temperature),
                library.llama_sampler_init_dist(_NO_SEED if sampling.seed is None else sampling.seed),
            ]
        for sampler in samplers:
            library.llama_sampler_chain_add(self._sampler, sampler)

    def sample(self) -> int:
        """The token that follows what was decoded last."""
        return int(self._library.llama_sampler_sample(self._sampler, self._context, -1))

    def close(self) -> None:
        """Free the memory, once."""
        if self._context is None:
            return
        self._free_sampler()
        self._library.llama_free(self._context)
        self._library.llama_model_free(self._model)
        self._context = None

    def _adapt(self, lora: Path) -> None:
        """Put the adapter on; it is freed with the model."""
        library = self._library
        adapter = library.llama_adapter_lora_init(self._model, str(lora).encode()) if lora.is_file() else None
        adapters = (library.llama_adapter_lora_p_ctypes * 1)(adapter)
        if not adapter or library.llama_set_adapters_lora(self._context, adapters, 1, (ctypes.c_float * 1)(1.0)):
            self.close()
            raise EngineUnavailable(
                f"llama.cpp cannot load {lora.name} as an adapter of this model; make it of this base."
            )

    def _free_sampler(self) -> None:
        if self._sampler is not None:
            self._library.llama_sampler_free(self._sampler)
            self._sampler = None

    def _is_control(self, token: int) -> bool:
        return bool(self._library.llama_vocab_is_control(self._vocabulary, token))

    def _text(self, token: int) -> str:
        return "" if token < 0 else self._bytes(token, special=True).decode(errors="replace")

    def _bytes(self, token: int, *, special: bool) -> bytes:
        buffer = ctypes.create_string_buffer(_PIECE_BYTES)
        size: int = self._library.llama_token_to_piece(self._vocabulary, token, buffer, _PIECE_BYTES, 0, special)
        return buffer.raw[: max(0, size)]


def model_file(model: str, directory: Path) -> Path:
    """The GGUF file of a model of the catalog. Raises WeightsError."""
    folder = locate(model, directory)
    files = sorted(folder.glob("*.gguf"))
    if len(files) != 1:
        raise WeightsMissing(f"{folder} should hold one .gguf file and holds {len(files)}; fetch {model} again.")
    return files[0]
