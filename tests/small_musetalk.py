"""MuseTalk on a CPU: tiny networks with random weights, or ones that show what they were given."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.face.avatar.pack import FACE_PX, AvatarPack
from models.face.musetalk.engine import MuseTalkEngine
from models.face.musetalk.face import MuseTalkFace
from models.face.musetalk.networks import Networks, build_whisper, random_networks
from models.face.musetalk.renderer import Renderer
from tests.avatars import synthetic_pack

BATCHES = (1, 2, 4)
PATIENCE_S = 120.0
"""A loaded machine may be slow; a test never gives up on a picture."""


def small_engine(networks: Networks | None = None, *, sessions: int = 1) -> MuseTalkEngine:
    """The real engine around tiny networks."""

    def make() -> Renderer:
        torch.set_num_threads(1)
        return Renderer(networks or random_networks(size="tiny"), sessions=sessions, buckets=BATCHES)

    return MuseTalkEngine(make, max_sessions=sessions)


def small_face(pack: AvatarPack | None = None, networks: Networks | None = None) -> MuseTalkFace:
    """A face with an engine of its own."""
    pack = pack or synthetic_pack()
    engine = small_engine(networks)
    session = engine.open(pack)

    def close() -> None:
        session.close()
        engine.close()

    return MuseTalkFace(session, pack, close=close, patience_s=PATIENCE_S)


def loudness_networks() -> Networks:
    """Networks that show how loud each 20 ms is: their pictures tell which sound belongs to them."""
    whisper = build_whisper("tiny").to_empty(device="cpu")
    for parameter in whisper.parameters():
        parameter.zero_()
    # The mean of the mel bands goes through both convolutions to channel 0; the layers add nothing to it.
    whisper.conv1.weight[0, :, 1] = 1 / whisper.conv1.in_channels
    whisper.conv2.weight[0, 0, 1] = 1
    whisper.layer_norm = nn.Identity()
    return Networks(_Windows(), _Stripes(), whisper)  # type: ignore[arg-type]


def shown_rows(picture: NDArray[np.uint8], pack: AvatarPack, frame: int) -> list[float]:
    """What a picture of `loudness_networks` says: how loud it is 20 ms before its beat, at its start, in its middle."""
    x0, y0, x1, y1 = pack.boxes[frame]
    row = int(y0 + 0.75 * (y1 - y0))
    columns = (int(x0 + share * (x1 - x0)) for share in (0.3, 0.5, 0.7))
    return [float(picture[row - 2 : row + 3, column - 2 : column + 3].mean()) for column in columns]


class _Windows(nn.Module):
    """In place of the mouth network: [B, 4, 32, 32] whose planes 1 to 3 are rows 3, 4 and 5 of the window."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(8, 4, 1)

    def forward(self, latents: Tensor, windows: Tensor) -> Tensor:
        rows = windows.unflatten(1, (10, 5))[:, 2:6, 0, 0]
        return rows[:, :, None, None].expand(-1, -1, 32, 32)


class _Stripes(nn.Module):
    """In place of the decoder: three grey stripes as bright as planes 1 to 3, of which (0, 2) is shown."""

    def forward(self, latents: Tensor) -> Tensor:
        stripes = latents[:, 1:, 0, 0].repeat_interleave(torch.tensor([102, 52, 102]), dim=1)
        return (stripes[:, None, None, :] - 1).clamp(-1, 1).expand(-1, 3, FACE_PX, FACE_PX)
