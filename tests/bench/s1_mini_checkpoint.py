"""A checkpoint of OpenAudio S1-mini with random weights, made by Fish Speech's own classes: speed knows no content.

Where the numbers of ARCHITECTURE come from, as config.json itself is behind the terms of the weights:

- the names of the fields, and that the output is not tied to the embeddings: third-party readers of config.json and
  model.pth (trymirai/lalamo, `FishAudioConfig` and its loaders);
- 28 slow and 4 fast layers of width 1,024, built like Qwen3: third-party and issue texts (sgl-project/sglang-omni
  #103, fishaudio/fish-speech #1081);
- heads, width of the feed-forward layers and the norm of queries and keys: those of Qwen3-0.6B, inferred;
- 10 codebooks of 4,096 and 1,024 entries: the codec's configuration at the pinned commit;
- vocabulary: 151,643 entries of Qwen's and the 4,111 special ones of the pinned commit, up to the next multiple of 128;
- 8,192 positions: reported from servers that run it.

Together they make 872.7 million parameters, 1.745 GB in bfloat16; model.pth is 1.74 GB. The codec's is exact: its
configuration is published.
"""

import base64
import itertools
import re
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch

ARCHITECTURE: Final[dict[str, Any]] = {
    "vocab_size": 155_776,
    "n_layer": 28,
    "n_head": 16,
    "n_local_heads": 8,
    "head_dim": 128,
    "dim": 1_024,
    "intermediate_size": 3_072,
    "n_fast_layer": 4,
    "codebook_size": 4_096,
    "num_codebooks": 10,
    "max_seq_len": 8_192,
    "rope_base": 1_000_000,
    "norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "attention_qk_norm": True,
}
TINY: Final[dict[str, Any]] = {
    **ARCHITECTURE,
    "vocab_size": 5_120,
    "n_layer": 2,
    "n_head": 2,
    "n_local_heads": 1,
    "head_dim": 32,
    "dim": 64,
    "intermediate_size": 128,
    "n_fast_layer": 1,
    "max_seq_len": 4_096,
}
"""The same in miniature, to try the bench without a GPU."""
CODEC: Final = "modded_dac_vq"
FILES: Final = ("config.json", "model.pth", "codec.pth", "tokenizer.tiktoken")


def published(checkout: Path, module: str) -> Any:
    """A module of Fish Speech's code in `checkout`."""
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    return import_module(module)


def write_checkpoint(checkout: Path, folder: Path, texts: Sequence[str], device: torch.device, *, tiny: bool) -> int:
    """Fill `folder` as a download would, and return the number of the model's parameters.

    Every word of `texts` is one token, as most words are for the real tokenizer. The special tokens are the last of
    the vocabulary: a model that knows nothing would else sample what lies beyond them, which has no code.
    """
    folder.mkdir(parents=True, exist_ok=True)
    llama = published(checkout, "fish_speech.models.text2semantic.llama")
    tokens = published(checkout, "fish_speech.tokenizer")
    architecture = TINY if tiny else ARCHITECTURE
    plain = architecture["vocab_size"] - len(tokens.ALL_SPECIAL_TOKENS)
    _write_tokenizer(folder / "tokenizer.tiktoken", texts, plain)
    tokenizer = tokens.FishTokenizer(str(folder / "tokenizer.tiktoken"))
    torch.manual_seed(0)
    with device:
        model = llama.DualARTransformer(llama.DualARModelArgs(**architecture), tokenizer)
    model.to("cpu", torch.bfloat16).save_pretrained(folder)
    parameters: int = sum(parameter.numel() for parameter in model.parameters())
    del model
    hydra = import_module("hydra")
    with hydra.initialize_config_dir(str(checkout / "fish_speech/configs"), version_base="1.3"):
        config = hydra.compose(CODEC)
    codec = import_module("hydra.utils").instantiate(config)
    torch.save(codec.state_dict(), folder / "codec.pth")
    return parameters


def tiny_checkout(checkout: Path, copy: Path) -> Path:
    """A copy whose codec is configured small; the code is the same."""
    for name in ("fish_speech", "tools"):
        shutil.copytree(checkout / name, copy / name, dirs_exist_ok=True)
    (copy / ".project-root").touch()
    omegaconf = import_module("omegaconf").OmegaConf
    file = copy / "fish_speech/configs" / f"{CODEC}.yaml"
    config = omegaconf.load(file)
    config.encoder_dim, config.decoder_dim = 8, 64
    config.encoder_transformer_layers, config.decoder_transformer_layers = [0, 0, 0, 1], [1, 0, 0, 0]
    config.quantizer.input_dim = 128
    for module in (config.quantizer.post_module, config.quantizer.pre_module):
        module.input_dim = module.config.dim = module.config.intermediate_size = 128
        module.config.n_head, module.config.n_layer = 2, 1
    omegaconf.save(config, file)
    return copy


def _write_tokenizer(file: Path, texts: Sequence[str], size: int) -> None:
    words = sorted({word for text in texts for word in re.findall(r"\w+", text)})
    tokens = [bytes([value]) for value in range(256)]
    tokens += [entry for word in words for entry in (word.encode(), b" " + word.encode()) if len(entry) > 1]
    fillers = (b"\x00nothing speaks this %d" % number for number in itertools.count())
    tokens += itertools.islice(fillers, size - len(tokens))
    lines = (f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens))
    file.write_text("".join(lines), encoding="ascii")
