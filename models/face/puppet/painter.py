"""Paints a portrait in a pose: eyes and mouth in its sheet, then the head turned."""

import cv2
import numpy as np

from models.face.pose import Pose
from models.face.puppet.eyes import Eyes
from models.face.puppet.head import Head
from models.face.puppet.mouth import Mouth
from models.face.puppet.portrait import Portrait
from models.interfaces import Image


class PuppetPainter:
    """Paints pictures of the portrait's size. Not thread-safe: it reuses its buffers."""

    def __init__(self, portrait: Portrait) -> None:
        alpha = portrait.person.astype(np.uint16)[..., None]
        still = np.dstack(((portrait.pixels * alpha + 127) // 255, alpha)).astype(np.uint8)
        self._sheet = still.copy()
        self._eyes = Eyes(portrait, still)
        self._mouth = Mouth(portrait, still)
        self._head = Head(portrait)

    def rgb(self, pose: Pose) -> Image:
        """The picture as RGB uint8 [height, width, 3]."""
        return np.asarray(cv2.cvtColor(self._rgba(pose), cv2.COLOR_RGBA2RGB), np.uint8)

    def i420(self, pose: Pose) -> Image:
        """The picture as planar I420 uint8 [height * 3 // 2, width], BT.601, limited range."""
        return np.asarray(cv2.cvtColor(self._rgba(pose), cv2.COLOR_RGBA2YUV_I420), np.uint8)

    def _rgba(self, pose: Pose) -> Image:
        self._eyes.draw(self._sheet, pose)
        self._mouth.draw(self._sheet, pose.mouth, pose.engaged)
        return self._head.draw(self._sheet, pose)
