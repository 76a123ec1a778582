"""Which face a machine can show."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from models.errors import EngineUnavailable
from models.settings import FaceSettings


def chosen(settings: FaceSettings, *, has_gpu: Callable[[], bool] | None = None) -> str:
    """The engine for `settings`: what they name, or for auto the best that this machine and its files allow.

    Raises EngineUnavailable when MuseTalk is named and there is no GPU.
    """
    has_gpu = has_gpu or sees_gpu
    if settings.engine == "musetalk" and not has_gpu():
        raise EngineUnavailable(
            "MuseTalk needs an NVIDIA GPU, and none can be seen; set UNDERSTUDY_FACE__ENGINE to auto, puppet or host."
        )
    if settings.engine != "auto":
        return settings.engine
    if settings.avatar is not None and has_gpu():
        return "musetalk"
    return "host" if settings.photo is None else "puppet"


def sees_gpu() -> bool:
    """Whether an NVIDIA GPU is there for us; asks the driver's files, because torch takes seconds to say so."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists() or shutil.which("nvidia-smi") is not None
