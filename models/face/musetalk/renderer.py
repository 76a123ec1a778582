"""All device work of the face, for one thread: sound to features, features to mouths, mouths into regions.

    place ─► encode ─► draw ─► Drawing.wait
     sound    features   batch of mouths, blended I420 regions, copied to pinned memory

Budget on a large GPU: under 5 ms for one picture, under 2.5 ms a picture in batches of 8 (models/face/README.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.face.avatar.pack import AvatarPack
from models.face.musetalk.compositor import AvatarTensors, Compositor
from models.face.musetalk.features import AudioEncoder, gather_windows
from models.face.musetalk.networks import Networks
from models.face.musetalk.orders import BUCKETS, Mouth, Sound, bucket_for
from models.face.musetalk.steps import Batch, CompositorStep, EncoderStep, MouthStep, Pair
from models.face.musetalk.timing import WINDOW_SAMPLES

ENCODER_BUCKETS = (1, 2, 4, 8)

Region = tuple[int, int]
"""Height and width in px."""


class Drawing:
    """Regions on their way to the host."""

    def __init__(self, regions: Tensor, done: torch.cuda.Event | None) -> None:
        self._regions = regions
        self._done = done

    def wait(self) -> NDArray[np.uint8]:
        """The blended regions, uint8 [B, RH * 3 // 2, RW]; other threads go on meanwhile."""
        if self._done is not None:
            self._done.synchronize()
        array: NDArray[np.uint8] = self._regions.numpy()
        return array


class Renderer:
    """Holds the feature windows of up to `sessions` sessions and their avatars. Not for more than one thread."""

    def __init__(
        self,
        networks: Networks,
        *,
        sessions: int,
        buckets: Sequence[int] = BUCKETS,
        pairs: Mapping[int, Pair] | None = None,
    ) -> None:
        """`pairs` has the networks of the buckets for which there are faster ones than `networks`."""
        self.buckets = tuple(buckets)
        self._edge = networks.config.edge
        self._device, self._dtype = networks.device, networks.dtype
        self._stream = torch.cuda.Stream(self._device) if self._device.type == "cuda" else None
        self._compositors: dict[Region, Compositor] = {}
        self._compositions: dict[tuple[int, Region], CompositorStep] = {}
        self._avatars: dict[int, AvatarTensors] = {}
        self._encoded: dict[int, tuple[int, float]] = {}
        with self._working():
            encoder = AudioEncoder(networks.audio, final_layer_norm=networks.config.final_layer_norm)
            self._sounds = torch.zeros(sessions, WINDOW_SAMPLES, device=self._device)
            row = encoder(self._sounds[:1], torch.zeros(1, device=self._device))
            self._features = row.new_zeros(sessions, *row.shape[1:])
            sizes = [size for size in ENCODER_BUCKETS if size <= sessions]
            self._encoders = {size: EncoderStep(encoder, self._sounds, self._features, size) for size in sizes}
            self._batches = {size: Batch(size, self._device, self._dtype) for size in self.buckets}
            self._mouths = {
                size: MouthStep(batch, *(pairs or {}).get(size, (networks.mouth, networks.decoder)))
                for size, batch in self._batches.items()
            }

    def add(self, session: int, pack: AvatarPack) -> None:
        """Bring the avatar of `session` to the device and prepare its region's size; takes about a second on CUDA."""
        region = (pack.roi_height_px, pack.roi_width_px)
        with self._working():
            self._avatars[session] = AvatarTensors.of(pack, self._device, self._dtype)
            compositor = self._compositors.get(region)
            if compositor is None:
                height_px, width_px = region
                compositor = self._compositors[region] = Compositor(width_px, height_px).to(self._device)
                for size, batch in self._batches.items():
                    self._compositions[size, region] = CompositorStep(batch, compositor, height_px, width_px)

    def share(self, session: int, other: int) -> None:
        """Let `session` show the avatar of the session `other`."""
        self._avatars[session] = self._avatars[other]

    def remove(self, session: int) -> None:
        self._avatars.pop(session, None)
        self._encoded.pop(session, None)

    def use(self, bucket: int, pair: Pair) -> None:
        """From now on draw batches of `bucket` with these networks, such as compiled ones."""
        with self._working():
            self._mouths[bucket] = MouthStep(self._batches[bucket], *pair)

    def place(self, session: int, sounds: Sequence[Sound]) -> None:
        """Put newly heard samples into the feature window of `session`."""
        with self._working():
            for sound in sounds:
                if sound.restart:
                    self._sounds[session].zero_()
                    self._encoded.pop(session, None)
                end = sound.start_samples + len(sound.samples)
                self._sounds[session, sound.start_samples : end].copy_(self._moved(sound.samples))

    def encode(self, heard: Sequence[tuple[int, int, float]]) -> None:
        """Bring features up to date; `heard` names each session once, the samples in its window and its mel peak.

        A window that grew is encoded whole: what was heard before still moves by the sound that follows it.
        """
        stale = [(session, (samples, peak)) for session, samples, peak in heard]
        stale = [(session, state) for session, state in stale if self._encoded.get(session) != state]
        most = max(self._encoders)
        with self._working():
            for part in (stale[start : start + most] for start in range(0, len(stale), most)):
                size = bucket_for(len(part), tuple(self._encoders))
                filled = [*part, *[part[-1]] * (size - len(part))]
                sessions = np.array([session for session, _ in filled], np.int64)
                peaks = np.array([peak for _, (_, peak) in filled], np.float32)
                self._encoders[size].run(self._moved(sessions), self._moved(peaks))
        self._encoded.update(stale)

    def draw(self, mouths: Sequence[tuple[int, Mouth]], region: Region) -> Drawing:
        """Start drawing `mouths`, each with its session, at most the largest bucket, in regions of one size."""
        size = bucket_for(len(mouths), self.buckets)
        filled = [*mouths, *[mouths[-1]] * (size - len(mouths))]
        batch, composition = self._batches[size], self._compositions[size, region]
        with self._working():
            rows = self._moved(np.array([(s, m.first_row, m.valid_rows, m.frame) for s, m in filled], np.int64).T)
            gains = self._moved(np.array([mouth.gain for _, mouth in filled], np.float32))
            windows = gather_windows(self._features, *rows[:3], edge=self._edge)
            batch.windows.copy_(windows)
            composition.gains.copy_(gains)
            for start, end, avatar in _runs([self._avatars[session] for session, _ in filled]):
                frames, span = rows[3, start:end], slice(start, end)
                torch.index_select(avatar.latents, 0, frames, out=batch.latents[span])
                torch.index_select(avatar.masks, 0, frames, out=composition.masks[span])
                torch.index_select(avatar.warps, 0, frames, out=composition.warps[span])
                torch.index_select(avatar.regions, 0, frames, out=composition.regions[span])
            self._mouths[size].run()
            composition.run()
            return self._fetched(composition.blended[: len(mouths)])

    def _fetched(self, regions: Tensor) -> Drawing:
        if self._stream is None:
            return Drawing(regions.clone(), None)
        host = torch.empty(regions.shape, dtype=regions.dtype, pin_memory=True)
        host.copy_(regions, non_blocking=True)
        done = torch.cuda.Event()
        done.record(self._stream)
        return Drawing(host, done)

    def _moved(self, array: NDArray[np.generic]) -> Tensor:
        """`array` on the device; the host does not wait for the device."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor if self._stream is None else tensor.pin_memory().to(self._device, non_blocking=True)

    @contextmanager
    def _working(self) -> Iterator[None]:
        with torch.no_grad(), torch.cuda.stream(self._stream):
            yield


def _runs(avatars: Sequence[AvatarTensors]) -> Iterator[tuple[int, int, AvatarTensors]]:
    """Start, end and avatar of each stretch of pictures that show the same one."""
    start = 0
    for end in range(1, len(avatars) + 1):
        if end == len(avatars) or avatars[end] is not avatars[start]:
            yield start, end, avatars[start]
            start = end
