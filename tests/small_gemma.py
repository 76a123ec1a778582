"""A Gemma 2 of a few hundred kilobytes with random weights, and an adapter for it, written as GGUF files.

It has what sets Gemma 2 apart for whoever talks to it: sliding windows, soft caps, two norms around each part, and a
chat template that knows neither a system role nor two turns of one speaker in a row. It speaks in syllables.

Source of the format: docs/gguf.md of ggml, version 3.
"""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDTH = 64
LAYERS = 2
HEADS = 2
HEAD_WIDTH = 32
HIDDEN = 128
WINDOW_TOKENS = 64
CONTEXT_TOKENS = 2_048
ALIGNMENT = 32

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else 'user' }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)

_CONTROLS = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")
_SYLLABLES = tuple(f"▁{consonant}{vowel}" for consonant in "bdfgklmnprst" for vowel in "aeiou")
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
TOKENS = (*_CONTROLS, *_SYLLABLES, *_BYTES)
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6

Value = str | bool | int | float | list[str] | list[np.int32] | list[float]
Tensors = Mapping[str, NDArray[np.float32]]


def write_model(path: Path, *, seed: int = 0) -> Path:
    random = np.random.default_rng(seed)

    def weights(*shape: int) -> NDArray[np.float32]:
        values: NDArray[np.float32] = (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
        return values

    embedding = weights(len(TOKENS), WIDTH)
    embedding[len(_CONTROLS) : -len(_BYTES)] *= 10  # the likeliest tokens: it speaks in whole syllables
    tensors = {"token_embd.weight": embedding, "output_norm.weight": np.ones(WIDTH, np.float32)}
    for layer in range(LAYERS):
        shapes: dict[str, tuple[int, ...]] = {
            "attn_q": (HEADS * HEAD_WIDTH, WIDTH),
            "attn_k": (HEADS * HEAD_WIDTH, WIDTH),
            "attn_v": (HEADS * HEAD_WIDTH, WIDTH),
            "attn_output": (WIDTH, HEADS * HEAD_WIDTH),
            "ffn_gate": (HIDDEN, WIDTH),
            "ffn_up": (HIDDEN, WIDTH),
            "ffn_down": (WIDTH, HIDDEN),
        }
        tensors |= {f"blk.{layer}.{name}.weight": weights(*shape) for name, shape in shapes.items()}
        for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            tensors[f"blk.{layer}.{name}.weight"] = np.ones(WIDTH, np.float32)
    about = {
        "context_length": CONTEXT_TOKENS,
        "embedding_length": WIDTH,
        "block_count": LAYERS,
        "feed_forward_length": HIDDEN,
        "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS,
        "attention.key_length": HEAD_WIDTH,
        "attention.value_length": HEAD_WIDTH,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "attention.sliding_window": WINDOW_TOKENS,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    }
    kinds = [_UNKNOWN if name == "<unk>" else _CONTROL for name in _CONTROLS]
    kinds += [_NORMAL] * len(_SYLLABLES) + [_BYTE] * len(_BYTES)
    metadata: dict[str, Value] = {
        "general.architecture": "gemma2",
        **{f"gemma2.{name}": value for name, value in about.items()},
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": list(TOKENS),
        "tokenizer.ggml.scores": [0.0] * len(TOKENS),
        "tokenizer.ggml.token_type": list(map(np.int32, kinds)),
        **{f"tokenizer.ggml.{name}_token_id": TOKENS.index(f"<{name}>") for name in ("bos", "unk")},
        "tokenizer.ggml.padding_token_id": TOKENS.index("<pad>"),
        "tokenizer.ggml.eos_token_id": TOKENS.index("<end_of_turn>"),
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": TEMPLATE,
    }
    return _write(path, metadata, tensors)


def write_adapter(path: Path, *, seed: int = 1) -> Path:
    """A LoRA adapter strong enough to change every answer."""
    random = np.random.default_rng(seed)
    tensors = {}
    for layer in range(LAYERS):
        tensors[f"blk.{layer}.ffn_down.weight.lora_a"] = random.standard_normal((4, HIDDEN)).astype(np.float32)
        tensors[f"blk.{layer}.ffn_down.weight.lora_b"] = random.standard_normal((WIDTH, 4)).astype(np.float32)
    metadata: dict[str, Value] = {
        "general.architecture": "gemma2",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 16.0,
    }
    return _write(path, metadata, tensors)


def _write(path: Path, metadata: Mapping[str, Value], tensors: Tensors) -> Path:
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    header += b"".join(_text(name) + _typed(value) for name, value in metadata.items())
    data = b""
    for name, tensor in tensors.items():
        header += _text(name) + struct.pack(f"<I{tensor.ndim}Q", tensor.ndim, *reversed(tensor.shape))
        header += struct.pack("<IQ", 0, len(data))  # float32
        data += _padded(tensor.tobytes())
    path.write_bytes(_padded(header) + data)
    return path


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _typed(value: Value) -> bytes:
    if isinstance(value, list):
        kind, _ = _one(value[0])
        return struct.pack("<IIQ", 9, kind, len(value)) + b"".join(_one(item)[1] for item in value)
    kind, data = _one(value)
    return struct.pack("<I", kind) + data


def _one(value: str | bool | int | float | np.int32) -> tuple[int, bytes]:
    """The number of the value's type, and its bytes."""
    if isinstance(value, str):
        return 8, _text(value)
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, np.int32):
        return 5, struct.pack("<i", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    return 6, struct.pack("<f", value)
