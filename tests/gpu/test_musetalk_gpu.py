"""MuseTalk on CUDA against the same code on the CPU. Run on a machine with a GPU: `python -m pytest tests/gpu`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.face.musetalk.compiled import CompiledNetworks
from models.face.musetalk.compositor import AvatarTensors, Compositor
from models.face.musetalk.networks import random_networks
from models.face.musetalk.orders import Mouth, Sound
from models.face.musetalk.renderer import Renderer
from tests.avatars import synthetic_pack
from tests.composited import blended_by_numpy

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
SPOKEN = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
MOUTHS = [Mouth(frame, 1.0, 2 * frame - 4, 50) for frame in range(3)]


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def drawn(renderer: Renderer) -> NDArray[np.uint8]:
    pack = synthetic_pack()
    renderer.add(0, pack)
    renderer.place(0, [Sound(0, SPOKEN, restart=True)])
    renderer.encode([(0, len(SPOKEN), 1.2)])
    region = (pack.roi_height_px, pack.roi_width_px)
    return renderer.draw([(0, mouth) for mouth in MOUTHS], region).wait()


def test_the_compositor_computes_on_the_gpu_what_it_computes_on_the_cpu() -> None:
    pack = synthetic_pack()
    faces = torch.rand(8, 3, 256, 256) * 2.4 - 1.2
    gains = torch.linspace(0, 1, 8)
    results = []
    for device in (CPU, CUDA):
        avatar = AvatarTensors.of(pack, device, torch.float32)
        compositor = Compositor(pack.roi_width_px, pack.roi_height_px).to(device)
        blended = compositor(faces.to(device), avatar.masks, avatar.warps, gains.to(device), avatar.regions)
        results.append(blended.cpu().numpy())
    expected = blended_by_numpy(
        faces.numpy(), pack.masks, avatar.warps.cpu().numpy(), gains.numpy(), avatar.regions.cpu().numpy()
    )
    assert np.abs(results[0].astype(int) - results[1]).max() <= 1
    assert np.abs(results[1].astype(int) - expected).max() <= 1


def test_pictures_of_captured_graphs_are_those_of_the_plain_networks() -> None:
    on_gpu = random_networks(size="tiny", device=CUDA, dtype=torch.float16)
    on_cpu = random_networks(size="tiny")
    for name in ("mouth", "decoder", "audio"):
        weights = {key: value.float().cpu() for key, value in getattr(on_gpu, name).state_dict().items()}
        getattr(on_cpu, name).load_state_dict(weights)
    got = drawn(Renderer(on_gpu, sessions=1))
    expected = drawn(Renderer(on_cpu, sessions=1, buckets=(1, 2, 4)))
    assert np.abs(got.astype(int) - expected).mean() < 0.5
    assert (drawn(Renderer(on_gpu, sessions=1)) == got).all()


def test_compiled_networks_draw_the_same_pictures(tmp_path: Path) -> None:
    networks = random_networks(size="tiny", device=CUDA, dtype=torch.float16)
    store = CompiledNetworks(tmp_path, CUDA, size="tiny")
    assert not store.has("sd", 4)
    assert store.build("sd", 4) and store.has("sd", 4)
    renderer = Renderer(networks, sessions=1, buckets=(4,))
    plain = drawn(renderer)
    decoder = store.load("sd", 4, networks.decoder)
    assert decoder is not None
    renderer.use(4, (networks.mouth, decoder))
    assert np.abs(drawn(renderer).astype(int) - plain).mean() < 0.5
