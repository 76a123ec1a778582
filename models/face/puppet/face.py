"""The puppet: the user's own photo, which blinks, sways and speaks. Needs no GPU and no preparation."""

import cv2

from models.errors import AvatarError, EngineUnavailable
from models.face.drawn_face import DrawnFace
from models.face.landmarks import create_finder
from models.face.puppet.painter import PuppetPainter
from models.face.puppet.person_mask import create_mask
from models.face.puppet.portrait import Portrait, head_and_shoulders, make_portrait, only_face, read_photo
from models.settings import EngineSettings


def create(settings: EngineSettings) -> "PuppetFace":
    """The face of `settings.face.photo` in square pictures of `settings.face.size_px`; takes under a second.

    Raises EngineUnavailable when no photo is set, AvatarError when the photo will not do, WeightsMissing.
    """
    if settings.face.photo is None:
        raise EngineUnavailable(
            "The puppet needs a photo of you; set UNDERSTUDY_FACE__PHOTO to one, or UNDERSTUDY_FACE__ENGINE to host."
        )
    # OpenCV's own threads gain nothing on a picture of 9 ms and would wake all cores 25 times a second.
    cv2.setNumThreads(1)
    finder = create_finder(settings.weights)
    try:
        rgb = read_photo(settings.face.photo)
        face = only_face(rgb, finder)
    except AvatarError as error:
        raise AvatarError(f"UNDERSTUDY_FACE__PHOTO: {error}") from None
    size_px = settings.face.size_px
    box = head_and_shoulders(rgb, face)
    return PuppetFace(make_portrait(rgb, face, create_mask(settings.weights), box, width_px=size_px, height_px=size_px))


class PuppetFace(DrawnFace):
    """`Face` of a portrait, in pictures of the portrait's size."""

    def __init__(self, portrait: Portrait, *, worker_name: str = "face-puppet") -> None:
        super().__init__(
            PuppetPainter(portrait),
            width_px=portrait.width_px,
            height_px=portrait.height_px,
            worker_name=worker_name,
        )
