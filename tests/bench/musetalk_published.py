"""A step as MuseTalk's published real-time script takes it: kernel by kernel, fp16, pictures copied to the host."""

import torch
from torch import Tensor

from models.face.avatar.pack import LATENT_SHAPE
from models.face.musetalk.latents import SD_SCALE
from models.face.musetalk.networks import build_taesd, build_unet, build_vae
from models.face.musetalk.random_weights import fill_randomly, fill_taesd_randomly
from models.face.musetalk.steps import WINDOW_SHAPE


class PublishedStep:
    """diffusers' own UNet and decoder, without any of our rewrites, on `device`."""

    def __init__(self, decoder: str, device: torch.device) -> None:
        generator = torch.Generator(device).manual_seed(0)
        self._tiny = decoder == "taesd"
        self._device = device
        self._unet = build_unet()
        self._vae = build_taesd() if self._tiny else build_vae()
        for network in (self._unet, self._vae):
            torch.nn.Module.to(network, dtype=torch.float16).to_empty(device=device)
        fill_randomly(self._unet, generator)
        (fill_taesd_randomly if self._tiny else fill_randomly)(self._vae, generator)
        self._timestep = torch.tensor([0], device=device)

    @torch.no_grad()
    def run(self, batch: int) -> Tensor:
        """Pictures uint8 [batch, 256, 256, 3] on the host."""
        kind = {"device": self._device, "dtype": torch.float16}
        latents, windows = torch.ones(batch, *LATENT_SHAPE, **kind), torch.ones(batch, *WINDOW_SHAPE, **kind)
        result = self._unet(latents, self._timestep, encoder_hidden_states=windows).sample
        pictures = self._vae.decode(result if self._tiny else result / SD_SCALE).sample
        return ((pictures / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).float().cpu() * 255).round().to(torch.uint8)
