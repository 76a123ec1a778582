"""Faces for tests of the puppet, and what can be measured on its pictures."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from models import registry
from models.face.drawn_face import Beats
from models.face.host.drawing import HostPainter
from models.face.landmark_table import EYE_LEFT_LOWER, EYE_LEFT_UPPER
from models.face.landmarks import FaceFinder, FoundFace, create_finder
from models.face.motion import Expression, pose_at
from models.face.pose import Pose
from models.face.puppet.frame import eye_distance_px
from models.face.puppet.painter import PuppetPainter
from models.face.puppet.person_mask import create_mask
from models.face.puppet.portrait import Portrait, head_and_shoulders, make_portrait, only_face, read_photo
from models.interfaces import BEAT_SAMPLES, Image, Samples, Speech
from models.settings import EngineSettings, WeightsSettings
from models.weights import locate

SENTENCES = (
    "I have looked at the report you sent us yesterday.",
    "Overall it looks good to me.",
    "The first chart shows how sales have changed since last year.",
)
PAUSE_BEATS = 12

_UPPER_EDGE, _LOWER_EDGE = [82, 13, 312], [87, 14, 317]
"""The middles of the inner edges of the lips."""
SYLLABLE_BEATS = 3
"""The loudness of speech is taken over this many beats: syllables, not periods of the voice."""


def smiling_photo() -> Image:
    """The catalog's test photo: 512x512, a smile with teeth, the face 107 px high."""
    return read_photo(locate("test-photo", WeightsSettings().dir) / "astronaut.png")


def host_photo(size_px: int = 768) -> Image:
    """The illustrated host with a shut mouth, as if it were a photo."""
    return np.ascontiguousarray(HostPainter(size_px).rgba(Pose(smile=0.2))[..., :3])


def portrait_of(photo: Image, finder: FaceFinder, size_px: int) -> Portrait:
    """As the puppet makes it."""
    face = only_face(photo, finder)
    box = head_and_shoulders(photo, face)
    return make_portrait(photo, face, create_mask(WeightsSettings()), box, width_px=size_px, height_px=size_px)


def make_finder() -> FaceFinder:
    return create_finder(WeightsSettings())


def aperture(face: FoundFace) -> float:
    """Between the lips, in eye distances."""
    edges = face.points[_LOWER_EDGE, :2].mean(axis=0) - face.points[_UPPER_EDGE, :2].mean(axis=0)
    return float(np.hypot(*edges)) / eye_distance_px(face.points)


def eye_opening(face: FoundFace) -> float:
    """Between the lids of the left eye, in eye distances."""
    lids = face.points[EYE_LEFT_LOWER[3:6], 1].mean() - face.points[EYE_LEFT_UPPER[3:6], 1].mean()
    return float(lids) / eye_distance_px(face.points)


def expressions(speech: Sequence[Speech], *, phonemes: bool) -> Iterator[Expression]:
    """What a face does, beat by beat, that says `speech`; without `phonemes` it knows the sound alone."""
    beats, expression = Beats(), Expression()
    for piece in speech:
        for moment in beats.take(piece if phonemes else Speech(piece.samples)):
            expression = moment.expression(expression)
            yield expression
    for moment in beats.rest():
        expression = moment.expression(expression)
        yield expression


def apertures(
    painter: PuppetPainter, finder: FaceFinder, speech: Sequence[Speech], *, phonemes: bool
) -> tuple[list[Expression], list[float]]:
    """What the face does, and how far its lips are apart in the pictures, beat by beat."""
    face = finder.find(painter.rgb(Pose()))[0]
    done, measured = [], []
    for position, expression in enumerate(expressions(speech, phonemes=phonemes)):
        face = finder.follow(painter.rgb(pose_at(position, expression)), face) or face
        done.append(expression)
        measured.append(aperture(face))
    return done, measured


def loudness(speech: Sequence[Speech], beats: int) -> Samples:
    """Root mean square of the sound around each beat, over SYLLABLE_BEATS."""
    samples = np.concatenate([piece.samples for piece in speech])
    whole = np.zeros(beats * BEAT_SAMPLES, np.float32)
    whole[: len(samples)] = samples[: len(whole)]
    power = (whole.reshape(beats, BEAT_SAMPLES) ** 2).mean(axis=1)
    return np.asarray(np.sqrt(np.convolve(power, np.ones(SYLLABLE_BEATS) / SYLLABLE_BEATS, "same")), np.float32)


def correlation(one: Sequence[float] | Samples, other: Sequence[float] | Samples) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def pause(beats: int) -> Speech:
    return Speech(np.zeros(beats * BEAT_SAMPLES, np.float32))


def jpeg_with_orientation(rgb: Image, orientation: int) -> bytes:
    """A JPEG whose EXIF tag says how to turn it (EXIF 2.32, 4.6.4: orientation, tag 0x0112)."""
    data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + orientation.to_bytes(2, "big") + b"\x00\x00"
    tiff = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + b"\x00\x00\x00\x00"
    body = b"Exif\x00\x00" + tiff
    return data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]


async def spoken_clip() -> list[Speech]:
    """About 9 s of Kokoro's voice with pauses around the sentences."""
    synthesizer = registry.create("tts", EngineSettings())
    pieces = [pause(PAUSE_BEATS)]
    try:
        for sentence in SENTENCES:
            pieces += [speech async for speech in synthesizer.stream(sentence)]
            pieces.append(pause(PAUSE_BEATS))
    finally:
        await synthesizer.aclose()
    return pieces
