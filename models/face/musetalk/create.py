"""Puts MuseTalk together from the settings: weights, avatar, engine, and the compiler in the background."""

import logging
from collections.abc import Mapping
from functools import cache

import torch

from models.errors import AvatarError, EngineUnavailable
from models.face.avatar.pack import AvatarPack
from models.face.avatar.store import load
from models.face.musetalk.compiled import BackgroundCompiler, CompiledNetworks, NetworkName, Part
from models.face.musetalk.engine import MuseTalkEngine
from models.face.musetalk.face import MuseTalkFace
from models.face.musetalk.kernels.choice import fast_decoder
from models.face.musetalk.kernels.device import can_run_kernels
from models.face.musetalk.networks import Networks
from models.face.musetalk.preparing import encoder_name
from models.face.musetalk.renderer import Renderer
from models.face.musetalk.steps import Network, Pair
from models.face.musetalk.weights import load_networks
from models.settings import EngineSettings, MuseTalkSettings

logger = logging.getLogger(__name__)

BATCHES = (1, 2, 4)
"""What one session orders: the first picture alone, later ones by two, by four when there is time in hand."""
CALIBRATION_FRAMES = 16


def create(settings: EngineSettings) -> MuseTalkFace:
    """The face of the settings' avatar on the first GPU; takes some 20 s, mostly for reading weights.

    Raises EngineUnavailable without a GPU or avatar, AvatarError, WeightsMissing and WeightsCorrupt.
    """
    options, weights_dir = settings.face.musetalk, settings.weights.dir
    if settings.face.avatar is None:
        raise EngineUnavailable(
            "MuseTalk needs an avatar; make one with `make avatar ARGS=me.mp4` and set UNDERSTUDY_FACE__AVATAR to it."
        )
    if not torch.cuda.is_available():
        raise EngineUnavailable(
            "MuseTalk needs an NVIDIA GPU, and PyTorch sees none; set UNDERSTUDY_FACE__ENGINE to auto, puppet or host."
        )
    try:
        encoder = encoder_name(weights_dir, options.version)
        pack = load(settings.face.avatar, encoder=encoder, musetalk=options.version)
    except AvatarError as error:
        raise AvatarError(f"UNDERSTUDY_FACE__AVATAR: {error}") from None
    device = torch.device("cuda", torch.cuda.current_device())
    # More threads gain nothing beside a GPU and take the cores from the encoder of the video.
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True
    networks = load_networks(
        weights_dir, version=options.version, decoder=options.decoder, device=device, dtype=torch.float16
    )
    engine = MuseTalkEngine(lambda: Renderer(networks, sessions=1, buckets=BATCHES))
    session = engine.open(pack)
    compiler = _compiler(networks, pack, engine, options) if options.compile else None

    def close() -> None:
        if compiler is not None:
            compiler.stop()
        session.close()
        engine.close()

    return MuseTalkFace(session, pack, close=close)


def _compiler(
    networks: Networks, pack: AvatarPack, engine: MuseTalkEngine, options: MuseTalkSettings
) -> BackgroundCompiler:
    """Gives the engine faster networks as they get ready."""
    store = CompiledNetworks(options.cache_dir, networks.device)
    decoder: NetworkName = options.decoder
    parts: dict[NetworkName, Part] = {}
    if options.decoder == "sd" and can_run_kernels(networks.device):
        decoder = "kernels"
        chosen = cache(lambda: _by_kernels(networks, pack, options))
        parts[decoder] = lambda batch: chosen()
    else:
        parts[decoder] = lambda batch: store.load(decoder, batch, networks.decoder)
    parts["mouth"] = lambda batch: store.load("mouth", batch, networks.mouth)

    def ready(batch: int, made: Mapping[NetworkName, Network]) -> None:
        pair: Pair = (made.get("mouth", networks.mouth), made.get(decoder, networks.decoder))

        def use(renderer: Renderer) -> None:
            renderer.use(batch, pair)
            logger.info("face_faster", extra={"batch": batch, "networks": ", ".join(made)})

        engine.upgrade(use)

    return BackgroundCompiler(store, parts, BATCHES, ready=ready)


def _by_kernels(networks: Networks, pack: AvatarPack, options: MuseTalkSettings) -> Network:
    """The decoder by kernels of our own, in eight bits as far as the avatar's own faces allow."""
    frames = range(0, pack.frame_count, -(-pack.frame_count // CALIBRATION_FRAMES))
    latents = torch.from_numpy(pack.latents[list(frames), 4:]).to(networks.device, networks.dtype)
    decoder, _ = fast_decoder(networks.decoder, latents, eight_bits=options.eight_bits)
    return decoder
