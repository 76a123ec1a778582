"""What can be told to the host's face for one picture."""

from dataclasses import dataclass

from models.face.mouth_shape import REST, MouthShape


@dataclass(frozen=True, slots=True)
class Pose:
    """Angles in degrees, shifts in design units (512 to the picture's edge), the rest without unit.

    Positive `yaw_deg` turns toward the picture's right, positive `pitch_deg` looks down, positive `roll_deg` tilts the
    head clockwise. `gaze_x`, `gaze_y` are in [-1, 1], right and down; at 0 the eyes meet the camera. `lids` is 1 for
    open eyes and 0 for shut ones. `brows` is 0 at rest and 1 for fully raised. `engaged` is 1 while the face talks,
    pauses between words included, and falls to 0 when it has long been silent.
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    breath: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    lids: float = 1.0
    brows: float = 0.0
    brow_tilt: float = 0.0
    smile: float = 0.5
    mouth: MouthShape = REST
    engaged: float = 0.0
