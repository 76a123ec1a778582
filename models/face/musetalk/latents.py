"""From pictures of a face to the latents that an avatar keeps: done once, when it is prepared."""

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn

from models.face.avatar.pack import FACE_PX

SD_SCALE = 0.18215
"""What latents of Stable Diffusion 1 are multiplied by, so that their variance is about one."""
MASK_FROM_ROW = FACE_PX // 2
BATCH = 8


class LatentEncoder(nn.Module):
    """Stable Diffusion's encoder over a face and over the same face without its lower half. Takes layers of `vae`.

    The distribution's mode is taken and never a sample of it, as MuseTalk was trained: the same picture gives the same
    latents, and a still face does not flicker.
    """

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.encoder = vae.encoder
        self.quant_conv = vae.quant_conv

    @torch.inference_mode()
    def encode(self, faces: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Latents float16 [N, 8, 32, 32] of RGB pictures uint8 [N, 256, 256, 3], a few at a time."""
        if faces.ndim != 4 or faces.shape[1:] != (FACE_PX, FACE_PX, 3) or faces.dtype != np.uint8:
            raise ValueError(f"faces are uint8 [N, {FACE_PX}, {FACE_PX}, 3], not {faces.dtype} {list(faces.shape)}")
        device = self.quant_conv.weight.device
        latents = np.empty((len(faces), 8, FACE_PX // 8, FACE_PX // 8), np.float16)
        for first in range(0, len(faces), BATCH):
            some = torch.from_numpy(np.ascontiguousarray(faces[first : first + BATCH])).to(device)
            latents[first : first + BATCH] = self(some).cpu().numpy()
        return latents

    def forward(self, faces: Tensor) -> Tensor:
        """Latents float16 [B, 8, 32, 32] of RGB pictures uint8 [B, 256, 256, 3]: without the lower half, then whole."""
        weight = self.quant_conv.weight
        whole = (faces.permute(0, 3, 1, 2).float() / 127.5 - 1).to(weight.dtype)
        masked = whole.clone()
        masked[:, :, MASK_FROM_ROW:] = -1
        return torch.cat((self._mode(masked), self._mode(whole)), dim=1).to(torch.float16)

    def _mode(self, pictures: Tensor) -> Tensor:
        moments = self.quant_conv(self.encoder(pictures))
        return moments.chunk(2, dim=1)[0] * SD_SCALE
