"""The convolutions of Stable Diffusion's decoder as a table, and what their inputs reach."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from models.face.musetalk.kernels.formats import Format, Reach

Role = Literal["residual", "doubling", "shortcut", "picture"]

SAMPLED_PX = 4096
"""Of each input, from all latents together: some 100 MB for all layers of the decoder."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution that the kernels compute; `name` is its path inside diffusers' decoder."""

    name: str
    role: Role
    in_channels: int
    out_channels: int
    height_px: int
    """Of the input; pictures are square. A doubling layer's output has twice as many rows."""

    @property
    def operations(self) -> int:
        """Additions and multiplications for one frame, as they are computed: 2 x 2 taps at four places to double."""
        taps = {"residual": 9, "doubling": 16, "shortcut": 1, "picture": 9}[self.role]
        return 2 * self.height_px**2 * taps * self.in_channels * self.out_channels


def layers(decoder: nn.Module, height_px: int = 32) -> tuple[Layer, ...]:
    """The table of diffusers' `Decoder` for latents of `height_px` rows, in the order of their work."""
    found: list[Layer] = []

    def add(name: str, role: Role, conv: nn.Module, height: int) -> None:
        found.append(Layer(name, role, int(conv.in_channels), int(conv.out_channels), height))

    def add_residual(name: str, residual: nn.Module, height: int) -> None:
        add(f"{name}.conv1", "residual", residual.conv1, height)
        if residual.conv_shortcut is not None:
            add(f"{name}.conv_shortcut", "shortcut", residual.conv_shortcut, height)
        add(f"{name}.conv2", "residual", residual.conv2, height)

    for index, residual in enumerate(decoder.mid_block.resnets):
        add_residual(f"mid_block.resnets.{index}", residual, height_px)
    for number, block in enumerate(decoder.up_blocks):
        for index, residual in enumerate(block.resnets):
            add_residual(f"up_blocks.{number}.resnets.{index}", residual, height_px)
        for index, upsampler in enumerate(block.upsamplers or ()):
            if not isinstance(getattr(upsampler, "conv", None), nn.Conv2d):
                raise ValueError("the decoder of kernels is made of a decoder before its doubling is rewritten")
            add(f"up_blocks.{number}.upsamplers.{index}.conv", "doubling", upsampler.conv, height_px)
            height_px *= 2
    add("conv_out", "picture", decoder.conv_out, height_px)
    return tuple(found)


def formats(table: tuple[Layer, ...], format: Format, kept: frozenset[str] = frozenset()) -> dict[str, Format]:
    """`format` for the layers that gain from it; shortcuts, the last layer and those `kept` stay in float16.

    A shortcut reads what no norm has bounded, and the last layer's error is seen as it is: together 2 % of the work.
    """
    return {
        layer.name: "fp16" if layer.role in ("shortcut", "picture") or layer.name in kept else format for layer in table
    }


@torch.no_grad()
def calibrate(
    decode: Callable[[Tensor], Tensor], decoder: nn.Module, latents: Tensor, *, at_once: int = 4
) -> Mapping[str, Reach]:
    """What the input of every convolution inside `decoder` reaches while `decode` draws `latents`, by name."""
    sampled_px = max(1, SAMPLED_PX * at_once // len(latents))
    reaches: dict[str, Reach] = {}
    handles: list[RemovableHandle] = []

    def watch(name: str, conv: nn.Conv2d) -> None:
        def note(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen = Reach.of(arguments[0], sampled_px)
            reaches[name] = seen if name not in reaches else reaches[name].joined(seen)

        handles.append(conv.register_forward_pre_hook(note))

    for name, module in decoder.named_modules():
        if isinstance(module, nn.Conv2d):
            watch(name, module)
    try:
        for some in latents.split(at_once):
            decode(some)
    finally:
        for handle in handles:
            handle.remove()
    return reaches
