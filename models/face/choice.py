"""Which face a machine can show."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from models import registry
from models.interfaces import Face
from models.settings import EngineSettings, FaceSettings


def create(settings: EngineSettings) -> Face:
    """The best face that this machine and its files allow."""
    face = settings.face.model_copy(update={"engine": best_face(settings.face)})
    return registry.create("face", settings.model_copy(update={"face": face}))


def best_face(
    settings: FaceSettings, *, has_gpu: Callable[[], bool] | None = None
) -> Literal["musetalk", "puppet", "host"]:
    """MuseTalk with an avatar and a GPU, else the puppet with a photo, else the host."""
    if settings.avatar is not None and (has_gpu or sees_gpu)():
        return "musetalk"
    return "host" if settings.photo is None else "puppet"


def sees_gpu() -> bool:
    """Whether an NVIDIA GPU is there for us; asks the driver's files, because torch takes seconds to say so."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists() or shutil.which("nvidia-smi") is not None
