"""A face that speaks moves its lips with its voice."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import cv2
import numpy as np
import pytest

from models.face.landmarks import FaceFinder
from models.face.puppet.face import PuppetFace
from models.face.puppet.painter import PuppetPainter
from models.interfaces import BEAT_SAMPLES, Phoneme, Speech
from tests.portraits import (
    aperture,
    apertures,
    correlation,
    host_photo,
    loudness,
    make_finder,
    portrait_of,
    spoken_clip,
)

pytestmark = pytest.mark.weights

SIZE_PX = 256


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return make_finder()


@pytest.fixture(scope="module")
def painter(finder: FaceFinder) -> PuppetPainter:
    return PuppetPainter(portrait_of(host_photo(512), finder, SIZE_PX))


async def test_lips_follow_the_voice_with_phonemes_and_from_sound_alone(
    painter: PuppetPainter, finder: FaceFinder
) -> None:
    speech = await spoken_clip()
    for phonemes, least in ((True, 0.5), (False, 0.8)):
        done, measured = apertures(painter, finder, speech, phonemes=phonemes)
        assert correlation(measured, loudness(speech, len(measured))) >= least
        assert max(measured) > 0.1
        at_rest = [
            gap for expression, gap in zip(done, measured, strict=True) if max(map(abs, expression.mouth)) < 0.01
        ]
        assert len(at_rest) > 10
        assert np.mean(at_rest) < 0.03
        if phonemes:
            pressed = [gap for expression, gap in zip(done, measured, strict=True) if expression.mouth.press > 0.95]
            assert len(pressed) >= 3
            assert max(pressed) < 0.03


async def test_the_face_is_one_picture_a_beat_and_shuts_its_mouth_afterwards(finder: FaceFinder) -> None:
    face = PuppetFace(portrait_of(host_photo(512), finder, SIZE_PX))
    samples = 10 * BEAT_SAMPLES

    async def ah() -> AsyncIterator[Speech]:
        yield Speech(np.zeros(samples, np.float32), (Phoneme("ɑ", 0, samples),))

    def gap(i420: np.ndarray) -> float:
        (found,) = finder.find(np.asarray(cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420), np.uint8))
        return aperture(found)

    try:
        position = 100
        gaps = []
        async with aclosing(face.speak(ah(), lambda: position)) as stream:
            async for picture in stream:
                position += 1
                gaps.append(gap(picture.i420))
        assert len(gaps) == 10
        assert max(gaps) > 0.12
        assert gap((await face.idle(position + 5)).i420) < 0.03
    finally:
        await face.aclose()
