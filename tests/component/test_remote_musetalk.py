"""MuseTalk's small face behind a service."""

import numpy as np
import torch

from models.interfaces import BEAT_SAMPLES, Face, Speech
from tests.avatars import synthetic_pack
from tests.face_service import RunningService, Shown, performer, pieces
from tests.small_musetalk import loudness_networks, shown_rows, small_face


async def test_musetalk_says_the_same_behind_a_service_as_in_this_process() -> None:
    torch.set_num_threads(1)
    pack = synthetic_pack()
    sound = (0.02 * np.random.default_rng(1).standard_normal(16 * BEAT_SAMPLES)).astype(np.float32)
    for beat in (5, 11):
        sound[beat * BEAT_SAMPLES : (beat + 1) * BEAT_SAMPLES] *= 12
    talk = (Speech(sound[: 7 * BEAT_SAMPLES]), Speech(sound[7 * BEAT_SAMPLES :]))

    async def rows(face: Face) -> list[list[float]]:
        shown = Shown()
        await shown.speak(face, pieces(*talk))
        return [shown_rows(picture, pack, pack.frame_at(place)) for place, picture in enumerate(shown.pictures)]

    here = small_face(pack, loudness_networks())
    expected = await rows(here)
    await here.aclose()
    with RunningService(lambda: small_face(pack, loudness_networks())) as service:
        async with performer(service) as face:
            remote = await rows(face)
    assert len(remote) == len(expected) == 16
    assert np.abs(np.array(remote) - expected).max() < 6
