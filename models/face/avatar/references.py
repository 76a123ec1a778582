"""Gives frames with an open mouth the reference of a frame whose mouth is closed.

What the mouth looks like in the reference leaks into what is drawn; in training the reference was always another frame
of like pose with another mouth.
"""

import numpy as np
from numpy.typing import NDArray

from models.face.avatar.rules import DEFAULT_RULES, Rules
from models.face.avatar.smoothing import Floats
from models.face.landmark_table import (
    EYE_LEFT_INNER,
    EYE_LEFT_OUTER,
    EYE_RIGHT_INNER,
    EYE_RIGHT_OUTER,
    FACE_OVAL,
    NOSE_BRIDGE,
)

_RIGID = (
    EYE_LEFT_OUTER,
    EYE_LEFT_INNER,
    EYE_RIGHT_INNER,
    EYE_RIGHT_OUTER,
    *NOSE_BRIDGE,
    *FACE_OVAL[:8],
    *FACE_OVAL[-8:],
)
"""Points that a moving mouth leaves where they are: they show the head's pose."""
_WHOLE = slice(4, 8)


def with_closed_mouths(
    latents: NDArray[np.float16], mouth: Floats, poses: Floats, rules: Rules = DEFAULT_RULES
) -> NDArray[np.float16]:
    """Latents [N, 8, 32, 32] whose reference half shows a closed mouth.

    `mouth` [N] is the height between the lips by the mouth's width, `poses` [N, 468, 2] the meshes in the face box's
    coordinates. With no mouth that is quite closed, the most closed ones serve.
    """
    source = np.arange(len(latents))
    closed = np.flatnonzero(mouth <= max(rules.closed_mouth, float(np.quantile(mouth, 0.1))))
    rigid = poses[:, _RIGID].reshape(len(poses), -1)
    for frame in np.flatnonzero(mouth > rules.open_mouth):
        distances = np.square(rigid[closed] - rigid[frame]).sum(axis=1)
        source[frame] = closed[np.argmin(distances)]
    result = latents.copy()
    result[:, _WHOLE] = latents[source, _WHOLE]
    return result
