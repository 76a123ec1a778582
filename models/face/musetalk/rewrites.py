"""Rewrites of loaded networks that change their cost and not their result.

    fold_timestep         the network is always asked at time step 0, so what it adds there is a constant
    fold_input_scale      the factor before the SD decoder becomes part of its first convolution
    fuse_projections      one matrix product for query, key and value where there were three
    subpixel_upsampling   2 x 2 kernels at the small size in place of 3 x 3 at the doubled one: 4 products for 9

Each works in place, computes in float32 and rounds once to the network's own type; none needs the weights to be more
than shapes (the meta device will do).
"""

from itertools import pairwise
from typing import Literal

import torch
from diffusers.models.attention_processor import Attention, FusedAttnProcessor2_0
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.nn import functional as F

SubpixelForm = Literal["shuffle", "transposed"]
"""Two ways to compute the same: a 2 x 2 convolution to four times the channels, then a shuffle; or one transposed
convolution of 4 x 4."""


@torch.no_grad()
def fold_timestep(unet: UNet2DConditionModel) -> None:
    """Put what the residual blocks add at time step 0 into the biases of their first convolutions.

    Afterwards the blocks want no time embedding (`temb=None`) and the layers that made it are gone; `unet` itself can
    no longer be called, its blocks can.
    """
    embedding = unet.time_embedding
    device = embedding.linear_1.weight.device
    sines = unet.time_proj(torch.zeros(1, device=device))
    hidden = _linear(embedding.linear_2, F.silu(_linear(embedding.linear_1, sines)))
    hidden = F.silu(hidden)
    for block in unet.modules():
        if isinstance(block, ResnetBlock2D) and block.time_emb_proj is not None:
            added = _linear(block.time_emb_proj, hidden)[0]
            block.conv1.bias.copy_(block.conv1.bias.float() + added)
            block.time_emb_proj = None
    del unet.time_embedding, unet.time_proj


@torch.no_grad()
def fold_input_scale(layer: nn.Conv2d, factor: float) -> None:
    """Let `layer` take its input without the `factor` that it was multiplied by."""
    layer.weight.copy_(layer.weight.float() * factor)


@torch.no_grad()
def fuse_projections(network: nn.Module) -> None:
    """Join the projections of every attention: query, key and value of one sequence, key and value of the other."""
    for attention in network.modules():
        if isinstance(attention, Attention):
            attention.fuse_projections()
            attention.set_processor(FusedAttnProcessor2_0())
            del attention.to_k, attention.to_v
            if not attention.is_cross_attention:
                del attention.to_q


def subpixel_upsampling(network: nn.Module, form: SubpixelForm = "shuffle") -> int:
    """Replace every doubling by nearest neighbours that a 3 x 3 convolution follows; how many there were."""
    count = 0
    for parent in list(network.modules()):
        children = list(parent.named_children())
        for name, child in children:
            if isinstance(child, Upsample2D) and child.norm is None and _is_plain(child.conv):
                setattr(parent, name, SubpixelUpsample(child.conv, form))
                count += 1
        if isinstance(parent, nn.Sequential):
            for (name, child), (follower, conv) in pairwise(children):
                if _is_doubling(child) and _is_plain(conv):
                    setattr(parent, name, nn.Identity())
                    setattr(parent, follower, SubpixelUpsample(conv, form))
                    count += 1
    return count


class SubpixelUpsample(nn.Module):
    """Doubling by nearest neighbours and a 3 x 3 convolution with a border of 1, computed at the small size.

    An output pixel of even row 2i sees the rows i-1, i, i of the input under the kernel's rows 0, 1, 2, one of odd
    row 2i+1 sees i, i, i+1: two rows each, of which one takes the sum of two kernel rows. The same holds for columns.
    """

    def __init__(self, conv: nn.Conv2d, form: SubpixelForm = "shuffle") -> None:
        super().__init__()
        self.form = form
        self.out_channels = conv.out_channels
        kernel = conv.weight.detach().float()
        even = torch.stack((kernel[:, :, 0], kernel[:, :, 1] + kernel[:, :, 2]), dim=2)
        odd = torch.stack((kernel[:, :, 0] + kernel[:, :, 1], kernel[:, :, 2]), dim=2)
        phases = [_columns(rows) for rows in (even, odd)]
        # [row phase, column phase, out, in, 2, 2]
        kernels = torch.stack([torch.stack(phase) for phase in phases])
        bias = None if conv.bias is None else conv.bias.detach().clone()
        if form == "shuffle":
            weight = kernels.flatten(0, 2)
            bias = None if bias is None else bias.repeat(4)
        else:
            weight = _transposed(kernels)
        self.weight = nn.Parameter(weight.to(conv.weight.dtype), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, hidden: Tensor, output_size: None = None) -> Tensor:
        """From [B, C, H, W] to [B, C', 2H, 2W]; `output_size` is what diffusers passes where sizes are odd: never."""
        if self.form == "transposed":
            return F.conv_transpose2d(hidden, self.weight, self.bias, stride=2, padding=1)
        height, width = hidden.shape[2:]
        four = F.conv2d(hidden, self.weight, self.bias, padding=1).permute(0, 2, 3, 1)
        upper_left, upper_right, lower_left, lower_right = four.split(self.out_channels, dim=3)
        upper = torch.stack((upper_left[:, :height, :width], upper_right[:, :height, 1:]), dim=3)
        lower = torch.stack((lower_left[:, 1:, :width], lower_right[:, 1:, 1:]), dim=3)
        both = torch.stack((upper, lower), dim=2)
        return both.reshape(-1, 2 * height, 2 * width, self.out_channels).permute(0, 3, 1, 2)


def _columns(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Even and odd columns' kernels [out, in, 2, 2] from kernels whose rows are reduced already, [out, in, 2, 3]."""
    even = torch.stack((rows[..., 0], rows[..., 1] + rows[..., 2]), dim=3)
    odd = torch.stack((rows[..., 0] + rows[..., 1], rows[..., 2]), dim=3)
    return even, odd


def _transposed(kernels: Tensor) -> Tensor:
    """The phases' kernels as one kernel [in, out, 4, 4] of a transposed convolution with stride 2 and a border of 1.

    There the input row i reaches the output row o through the kernel's row o - 2i + 1: an even o = 2i through 1 from
    its own row and through 3 from the row before, an odd one through 2 from its own and through 0 from the next.
    """
    places = ((3, 1), (2, 0))
    whole = kernels.new_zeros(kernels.shape[3], kernels.shape[2], 4, 4)
    for row_phase, rows in enumerate(places):
        for column_phase, columns in enumerate(places):
            for row, target_row in enumerate(rows):
                for column, target_column in enumerate(columns):
                    tap = kernels[row_phase, column_phase, :, :, row, column]
                    whole[:, :, target_row, target_column] = tap.T
    return whole


def _is_doubling(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Upsample) and (layer.mode, layer.scale_factor) == ("nearest", 2)


def _is_plain(conv: object) -> bool:
    return isinstance(conv, nn.Conv2d) and (conv.kernel_size, conv.stride, conv.padding) == ((3, 3), (1, 1), (1, 1))


def _linear(layer: nn.Linear, hidden: Tensor) -> Tensor:
    return F.linear(hidden, layer.weight.float(), layer.bias.float())
