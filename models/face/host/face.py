"""The illustrated host: a face that needs no GPU, drawn in a few milliseconds per picture."""

import cv2

from models.face.drawn_face import DrawnFace
from models.face.host.drawing import HostPainter
from models.settings import EngineSettings


def create(settings: EngineSettings) -> "HostFace":
    """The host at the size of the settings; painting its sheets takes about a second."""
    # OpenCV's own threads gain nothing on a picture of 5 ms and would wake all cores 25 times a second.
    cv2.setNumThreads(1)
    return HostFace(settings.face.size_px)


class HostFace(DrawnFace):
    """`Face` of an illustrated person. Square pictures."""

    def __init__(self, size_px: int, *, worker_name: str = "face-host") -> None:
        super().__init__(HostPainter(size_px), width_px=size_px, height_px=size_px, worker_name=worker_name)
