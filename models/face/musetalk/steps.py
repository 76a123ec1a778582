"""Fixed pieces of device work: static tensors in, static tensors out, one CUDA graph each.

A graph has no launch cost of its own: replaying the networks at batch 1 takes a fifth of the time of launching them
kernel by kernel. On the CPU a step simply runs its work.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from models.face.avatar.pack import FACE_PX, LATENT_SHAPE
from models.face.musetalk.compositor import Compositor
from models.face.musetalk.features import AudioEncoder
from models.face.musetalk.timing import WINDOW_SAMPLES

WARM_UP_RUNS = 3
"""Before a capture: libraries choose their algorithms and take their workspaces in the first runs."""
WINDOW_SHAPE = (50, 384)

Network = Callable[..., Tensor]
Pair = tuple[Network, Network]
"""The mouth network and the decoder."""


class Step:
    """Runs `work`, which reads and writes tensors that stay where they are."""

    def __init__(self, work: Callable[[], None], device: torch.device) -> None:
        self._work = work
        """Kept, because a graph does not keep alive the weights and tensors that it reads."""
        self._replay = work
        if device.type == "cuda":
            for _ in range(WARM_UP_RUNS):
                work()
            graph = torch.cuda.CUDAGraph()
            # Other threads of the process may use the device meanwhile.
            with torch.cuda.graph(graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
                work()
            self._replay = graph.replay

    def run(self) -> None:
        self._replay()


class EncoderStep:
    """Features of `size` sessions: gathers their windows of sound and scatters their features."""

    def __init__(self, encoder: AudioEncoder, sounds: Tensor, features: Tensor, size: int) -> None:
        self._sessions = torch.zeros(size, dtype=torch.int64, device=sounds.device)
        self._peaks = torch.zeros(size, device=sounds.device)
        window = torch.zeros(size, WINDOW_SAMPLES, device=sounds.device)

        def work() -> None:
            torch.index_select(sounds, 0, self._sessions, out=window)
            features.index_copy_(0, self._sessions, encoder(window, self._peaks))

        self._step = Step(work, sounds.device)

    def run(self, sessions: Tensor, peaks: Tensor) -> None:
        """Encode `sessions`, int64 [size], of which the last may be repeated; `peaks` float32 [size]."""
        self._sessions.copy_(sessions)
        self._peaks.copy_(peaks)
        self._step.run()


class Batch:
    """The tensors of one batch size between the steps that work on it."""

    def __init__(self, size: int, device: torch.device, dtype: torch.dtype) -> None:
        self.size = size
        kind = {"device": device, "dtype": dtype}
        self.latents = torch.zeros(size, *LATENT_SHAPE, **kind)
        self.windows = torch.zeros(size, *WINDOW_SHAPE, **kind)
        self.faces = torch.zeros(size, 3, FACE_PX, FACE_PX, **kind)


class MouthStep(Step):
    """Latents and windows to faces."""

    def __init__(self, batch: Batch, mouth: Network, decoder: Network) -> None:
        def work() -> None:
            # A compiled decoder knows one memory layout; another one would have it compiled anew.
            batch.faces.copy_(decoder(mouth(batch.latents, batch.windows).contiguous()))

        super().__init__(work, batch.faces.device)


class CompositorStep(Step):
    """Faces into the avatar's frames."""

    def __init__(self, batch: Batch, compositor: Compositor, height_px: int, width_px: int) -> None:
        device = batch.faces.device
        self.masks = torch.zeros(batch.size, 1, FACE_PX, FACE_PX, dtype=torch.uint8, device=device)
        self.warps = torch.zeros(batch.size, 4, device=device)
        self.gains = torch.zeros(batch.size, device=device)
        self.regions = torch.zeros(batch.size, height_px * 3 // 2, width_px, dtype=torch.uint8, device=device)
        self.blended = torch.zeros_like(self.regions)

        def work() -> None:
            self.blended.copy_(compositor(batch.faces, self.masks, self.warps, self.gains, self.regions))

        super().__init__(work, device)
