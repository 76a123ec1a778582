"""Which face a machine can show."""

import logging
import os
import shutil
from pathlib import Path
from typing import Literal

from models import registry
from models.errors import AvatarError, EngineUnavailable
from models.face.drawn_face import DrawnFace
from models.interfaces import Face
from models.settings import EngineSettings, FaceSettings

logger = logging.getLogger(__name__)

Engine = Literal["musetalk", "puppet", "host"]


def create(settings: EngineSettings) -> Face:
    """The best face that this machine and its files allow. Raises AvatarError when the avatar is not there."""
    avatar = settings.face.avatar
    if avatar is not None and not avatar.is_dir():
        raise AvatarError(
            f"UNDERSTUDY_FACE__AVATAR: there is no folder {avatar}; make one with `make avatar ARGS=me.mp4`."
        )
    engine = best_face(settings.face, gpu=sees_gpu())
    logger.info("face_chosen", extra={"engine": engine})
    try:
        return _named(engine, settings)
    except EngineUnavailable as error:
        if engine != "musetalk":
            raise
        engine = best_face(settings.face, gpu=False)
        logger.warning("face_chosen", extra={"engine": engine, "reason": str(error)})
        return _named(engine, settings)


def best_face(settings: FaceSettings, *, gpu: bool) -> Engine:
    """MuseTalk with an avatar and a GPU, else the puppet with a photo, else the host."""
    if settings.avatar is not None and gpu:
        return "musetalk"
    return "host" if settings.photo is None else "puppet"


def name_of(face: Face, settings: FaceSettings) -> str:
    """Which engine `face`, made of `settings`, is."""
    if settings.engine != "auto":
        return settings.engine
    return best_face(settings, gpu=sees_gpu() and not isinstance(face, DrawnFace))


def _named(engine: Engine, settings: EngineSettings) -> Face:
    face = settings.face.model_copy(update={"engine": engine})
    return registry.create("face", settings.model_copy(update={"face": face}))


def sees_gpu() -> bool:
    """Whether an NVIDIA GPU is there for us; asks the driver's files, because torch takes seconds to say so."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists() or shutil.which("nvidia-smi") is not None
