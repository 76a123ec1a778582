"""Tells a person from the background of a photo: MediaPipe's Selfie Segmentation (Apache-2.0), run by OpenCV."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.landmarks import open_network
from models.interfaces import Image
from models.settings import WeightsSettings
from models.weights import locate

MODEL = "person-mask"

_NETWORK_PX = 256
_SURE_OUT, _SURE_IN = 0.12, 0.88
"""The network hardly ever says exactly 0 or 1."""


class PersonMask:
    """Finds whoever the photo shows. About 15 ms on one core. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._network = open_network(path, MODEL)

    def of(self, rgb: Image) -> NDArray[np.float32]:
        """How much of each px of an RGB picture is a person: float32 [height, width] in [0, 1]."""
        height, width = rgb.shape[:2]
        small = cv2.resize(rgb, (_NETWORK_PX, _NETWORK_PX), interpolation=cv2.INTER_AREA)
        # The mean over the picture and its mirror image has calmer edges.
        mask = (self._run(small) + self._run(np.ascontiguousarray(small[:, ::-1]))[:, ::-1]) / 2
        large = cv2.resize(mask, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(np.clip((large - _SURE_OUT) / (_SURE_IN - _SURE_OUT), 0, 1), np.float32)

    def _run(self, small: Image) -> NDArray[np.float32]:
        self._network.setInput(cv2.dnn.blobFromImage(small, 1 / 255))
        return np.array(self._network.forward()[0, 0], np.float32)


def create_mask(weights: WeightsSettings) -> PersonMask:
    """Raises WeightsMissing, WeightsCorrupt."""
    return PersonMask(locate(MODEL, weights.dir) / "selfie_segmentation.tflite")
