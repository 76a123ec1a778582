"""Stable Diffusion's decoder, made of the kernels' operations.

    latents ─► post_quant_conv, conv_in (torch) ─► mid block ─► four up blocks ─► norm, SiLU, conv_out ─► RGB
               every 3 x 3 convolution: measure ► combine ► prepare (norm, SiLU, codes) ► convolve (+ residual)

622 GFLOP a frame as published, 520 here: a convolution after a doubling works at the small size. A table says which
convolutions read codes of eight bits and which float16; both by the same kernels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.face.musetalk.kernels.device import operations_for
from models.face.musetalk.kernels.formats import Format, PackedConv, Quantiser, Reach, pack
from models.face.musetalk.kernels.layers import layers
from models.face.musetalk.kernels.reference import Norm, Operations, Statistics

TOGETHER = (16, 16, 16, 16)
"""How many frames go through each up block, and all after it, at once."""


@dataclass(frozen=True, slots=True, eq=False)
class _Residual:
    norm1: Norm
    conv1: PackedConv
    norm2: Norm
    conv2: PackedConv
    shortcut: PackedConv | None


@dataclass(frozen=True, slots=True, eq=False)
class _Attention:
    norm: Norm
    into: tuple[Tensor, Tensor]
    """Weight and bias of query, key and value together."""
    out_of: tuple[Tensor, Tensor]
    tokens: Quantiser


@dataclass(frozen=True, slots=True, eq=False)
class _UpBlock:
    residuals: tuple[_Residual, ...]
    doubling: PackedConv | None


class KernelSdDecoder(nn.Module):
    """An SdDecoder whose convolutions are kernels of our own.

    Takes `sd` (post_quant_conv and diffusers' decoder, before its doublings are rewritten) and leaves it as it is.
    `table` gives each layer's format by name (layers.formats); `reaches` what calibration saw; `packs` holds what was
    packed before, for decoders that share layers, and gains what is packed now. A forward neither waits for the device
    nor depends on values, so that it can be captured in a CUDA graph, and gives the same bits every time. It cannot be
    moved from the device of `sd`.
    """

    def __init__(
        self,
        sd: nn.Module,
        table: Mapping[str, Format],
        reaches: Mapping[str, Reach],
        *,
        operations: Operations | None = None,
        together: Sequence[int] = TOGETHER,
        packs: dict[tuple[str, Format], PackedConv] | None = None,
    ) -> None:
        super().__init__()
        decoder = sd.decoder
        device = decoder.conv_in.weight.device
        self.post_quant_conv, self.conv_in = sd.post_quant_conv, decoder.conv_in
        self.operations = operations or operations_for(device)
        self.together = tuple(together)
        self.table = dict(table)
        doubling = {layer.name for layer in layers(decoder) if layer.role == "doubling"}
        kept = {} if packs is None else packs

        def packed(name: str) -> PackedConv:
            conv, format = decoder.get_submodule(name), self.table[name]
            if (name, format) not in kept:
                kept[name, format] = pack(conv.weight, conv.bias, reaches.get(name), format, doubled=name in doubling)
            return kept[name, format]

        def residual(name: str, block: nn.Module) -> _Residual:
            shortcut = None if block.conv_shortcut is None else packed(f"{name}.conv_shortcut")
            conv1, conv2 = packed(f"{name}.conv1"), packed(f"{name}.conv2")
            return _Residual(_norm(block.norm1), conv1, _norm(block.norm2), conv2, shortcut)

        with torch.no_grad():
            middle = decoder.mid_block
            self.before, self.after = (
                residual(f"mid_block.resnets.{index}", block) for index, block in enumerate(middle.resnets)
            )
            self.attention = _attention(middle.attentions[0])
            self.up_blocks = tuple(
                _UpBlock(
                    tuple(
                        residual(f"up_blocks.{number}.resnets.{index}", block) for index, block in enumerate(up.resnets)
                    ),
                    packed(f"up_blocks.{number}.upsamplers.0.conv") if up.upsamplers else None,
                )
                for number, up in enumerate(decoder.up_blocks)
            )
            self.norm_out, self.conv_out = _norm(decoder.conv_norm_out), packed("conv_out")

    @torch.no_grad()
    def forward(self, latents: Tensor) -> Tensor:
        """RGB [B, 3, 256, 256] float16, contiguous, nominally in [-1, 1], of scaled latents [B, 4, 32, 32]."""
        # Triton launches on the current device.
        with torch.cuda.device_of(latents):
            return self._draw(latents)

    def _draw(self, latents: Tensor) -> Tensor:
        hidden = self.conv_in(self.post_quant_conv(latents.to(self.conv_in.weight.dtype)))
        hidden = hidden.permute(0, 2, 3, 1).contiguous().half()
        hidden, seen = self._residual(self.before, hidden, self.operations.measure(hidden))
        hidden = self._attend(self.attention, hidden, seen)
        hidden, seen = self._residual(self.after, hidden, self.operations.measure(hidden))
        return self._rise(0, hidden, seen)

    def _rise(self, number: int, hidden: Tensor, seen: Statistics) -> Tensor:
        """The up blocks from `number` on and the picture, for `together` frames at a time."""
        frames = len(hidden)
        if number == len(self.up_blocks):
            return self._picture(hidden, seen)
        most = self.together[min(number, len(self.together) - 1)]
        if frames > most:
            starts = range(0, frames, most)
            parts = [self._rise(number, hidden[at : at + most], seen.of_frames(at, most)) for at in starts]
            return torch.cat(parts)
        block = self.up_blocks[number]
        for residual in block.residuals:
            hidden, seen = self._residual(residual, hidden, seen)
        if block.doubling is not None:
            codes = self.operations.prepare(hidden, None, block.doubling.quantiser, silu=False, border_px=1)
            hidden, seen = self._convolve(codes, block.doubling)
        return self._rise(number + 1, hidden, seen)

    def _residual(self, block: _Residual, hidden: Tensor, seen: Statistics) -> tuple[Tensor, Statistics]:
        inner, seen = self._convolve(self._activated(hidden, seen, block.norm1, block.conv1), block.conv1)
        kept = hidden if block.shortcut is None else self.operations.convolve(hidden, block.shortcut)[0]
        return self._convolve(self._activated(inner, seen, block.norm2, block.conv2), block.conv2, kept)

    def _activated(self, hidden: Tensor, seen: Statistics, norm: Norm, conv: PackedConv) -> Tensor:
        affine = self.operations.combine(seen, norm)
        return self.operations.prepare(hidden, affine, conv.quantiser, silu=True, border_px=1)

    def _convolve(self, codes: Tensor, conv: PackedConv, kept: Tensor | None = None) -> tuple[Tensor, Statistics]:
        out, seen = self.operations.convolve(codes, conv, residual=kept, statistics=True)
        assert seen is not None
        return out, seen

    def _attend(self, attention: _Attention, hidden: Tensor, seen: Statistics) -> Tensor:
        """Self-attention of one head over all pixels; as matrix products, since 512 channels suit no fused kernel."""
        affine = self.operations.combine(seen, attention.norm)
        normed = self.operations.prepare(hidden, affine, attention.tokens, silu=False, border_px=0)
        tokens = normed.flatten(1, 2).to(attention.into[0].dtype)
        query, key, value = F.linear(tokens, *attention.into).chunk(3, dim=2)
        scores = torch.baddbmm(tokens.new_empty(()), query, key.transpose(1, 2), beta=0, alpha=query.shape[2] ** -0.5)
        mixed = torch.bmm(scores.softmax(dim=2), value)
        return hidden + F.linear(mixed, *attention.out_of).half().view_as(hidden)

    def _picture(self, hidden: Tensor, seen: Statistics) -> Tensor:
        codes = self._activated(hidden, seen, self.norm_out, self.conv_out)
        return self.operations.convolve(codes, self.conv_out, planar=True)[0]


def _norm(norm: nn.GroupNorm) -> Norm:
    return Norm(norm.weight.float(), norm.bias.float(), norm.num_groups, norm.eps)


def _attention(attention: nn.Module) -> _Attention:
    """diffusers' attention of one head, its projections joined or not."""
    if hasattr(attention, "to_q"):
        three = (attention.to_q, attention.to_k, attention.to_v)
        into = (torch.cat([layer.weight for layer in three]), torch.cat([layer.bias for layer in three]))
    else:
        into = (attention.to_qkv.weight, attention.to_qkv.bias)
    out = attention.to_out[0]
    tokens = Quantiser("fp16", torch.ones(out.out_features, device=out.weight.device))
    return _Attention(_norm(attention.group_norm), into, (out.weight, out.bias), tokens)
