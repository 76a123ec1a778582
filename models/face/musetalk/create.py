"""Puts MuseTalk together from the settings: weights, avatar, engine, and the compiler in the background."""

import logging

import torch

from models.errors import EngineUnavailable
from models.face.avatar.store import load
from models.face.musetalk.compiled import BackgroundCompiler, CompiledNetworks
from models.face.musetalk.engine import MuseTalkEngine
from models.face.musetalk.face import MuseTalkFace
from models.face.musetalk.renderer import Renderer
from models.face.musetalk.weights import load_networks
from models.settings import EngineSettings

logger = logging.getLogger(__name__)

BATCHES = (1, 2, 4)
"""What one session orders: the first picture alone, later ones by two, by four when there is time in hand."""


def create(settings: EngineSettings) -> MuseTalkFace:
    """The face of the settings' avatar on the first GPU; takes some 20 s, mostly for reading weights.

    Raises EngineUnavailable without a GPU or avatar, AvatarError, WeightsMissing and WeightsCorrupt.
    """
    if not torch.cuda.is_available():
        raise EngineUnavailable(
            "MuseTalk needs an NVIDIA GPU, and PyTorch sees none; set UNDERSTUDY_FACE__ENGINE to auto, puppet or host."
        )
    if settings.face.avatar is None:
        raise EngineUnavailable(
            "MuseTalk needs an avatar; make one with `make avatar ARGS=me.mp4` and set UNDERSTUDY_FACE__AVATAR to it."
        )
    options = settings.face.musetalk
    pack = load(settings.face.avatar, musetalk=options.version)
    device = torch.device("cuda", torch.cuda.current_device())
    # More threads gain nothing beside a GPU and take the cores from the encoder of the picture.
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True
    store = CompiledNetworks(options.cache_dir, device)

    def make() -> Renderer:
        networks = load_networks(
            settings.weights.dir,
            version=options.version,
            decoder=options.decoder,
            device=device,
            dtype=torch.float16,
        )
        return Renderer(networks, sessions=1, buckets=BATCHES, compiled=lambda batch: store.pair(networks, batch))

    engine = MuseTalkEngine(make)
    session = engine.open(pack)
    compiler: BackgroundCompiler | None = None
    if options.compile:
        compiler = BackgroundCompiler(
            store,
            options.decoder,
            BATCHES,
            ready=lambda batch: engine.upgrade(lambda renderer: _upgrade(renderer, store, batch)),
        )

    def close() -> None:
        if compiler is not None:
            compiler.stop()
        session.close()
        engine.close()

    return MuseTalkFace(session, pack, close=close)


def _upgrade(renderer: Renderer, store: CompiledNetworks, batch: int) -> None:
    """On the GPU thread: draw batches of this size with compiled networks from now on."""
    pair = store.pair(renderer.networks, batch)
    if pair is not None:
        renderer.use(batch, pair)
        logger.info("face_compiled", extra={"batch": batch})
