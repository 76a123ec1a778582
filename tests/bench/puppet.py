"""What the faces without a GPU cost, and how well the puppet's lips follow the voice.

Time is that of the process on one thread, so that other work on the machine does not count. The puppet is measured on
the catalog's test photo, which is enlarged, and on the illustrated host taken for a sharp photo; its lips on the host,
whose mouth is shut.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from models.face.drawn_face import Painter
from models.face.host.drawing import HostPainter
from models.face.motion import Expression, pose_at
from models.face.puppet.painter import PuppetPainter
from models.interfaces import BEATS_PER_SECOND, Speech
from tests.bench.report import percentiles
from tests.portraits import (
    apertures,
    correlation,
    expressions,
    host_photo,
    loudness,
    make_finder,
    portrait_of,
    smiling_photo,
    spoken_clip,
)

SIZE_PX = 640
SHARP_PX = 1_024
"""A photo with px to spare: its sheet is larger than the picture."""


async def measure() -> dict[str, float]:
    speech = await spoken_clip()
    return await asyncio.to_thread(_figures, speech)


def _figures(speech: Sequence[Speech]) -> dict[str, float]:
    cv2.setNumThreads(1)
    finder = make_finder()
    said = list(expressions(speech, phonemes=True))
    started_s = time.process_time()
    puppet = PuppetPainter(portrait_of(smiling_photo(), finder, SIZE_PX))
    figures = {"puppet_start_s": round(time.process_time() - started_s, 2)}
    sharp = PuppetPainter(portrait_of(host_photo(SHARP_PX), finder, SIZE_PX))
    figures |= _cost("puppet", puppet, said) | _cost("puppet_sharp", sharp, said)
    figures |= _cost("host", HostPainter(SIZE_PX), said)
    listener = PuppetPainter(portrait_of(host_photo(), finder, SIZE_PX))
    for name, phonemes in (("phonemes", True), ("sound", False)):
        done, measured = apertures(listener, finder, speech, phonemes=phonemes)
        figures[f"lips_voice_{name}"] = round(correlation(measured, loudness(speech, len(measured))), 3)
        figures |= _lips(name, done, measured)
    return figures


def _cost(name: str, painter: Painter, said: Sequence[Expression]) -> dict[str, float]:
    """ms per picture, and the share of a core at 25 pictures a second, speaking and idle."""
    speaking_ms = _times_ms(lambda at: painter.i420(pose_at(at, said[at])), len(said))
    idle_ms = _times_ms(lambda at: painter.i420(pose_at(at, Expression())), len(said))
    share = BEATS_PER_SECOND * float(np.mean(speaking_ms)) / 1_000
    return {
        **percentiles(f"{name}_ms", speaking_ms),
        **percentiles(f"{name}_idle_ms", idle_ms),
        f"{name}_core_share": round(share, 3),
        f"{name}_idle_core_share": round(BEATS_PER_SECOND * float(np.mean(idle_ms)) / 1_000, 3),
    }


def _times_ms(draw: Callable[[int], object], count: int) -> list[float]:
    times = []
    for at in range(count):
        started_s = time.process_time()
        draw(at)
        times.append(1_000 * (time.process_time() - started_s))
    return times


def _lips(name: str, done: Sequence[Expression], measured: Sequence[float]) -> dict[str, float]:
    """Gaps between the lips, in eye distances."""
    pairs = list(zip(done, measured, strict=True))
    figures = {
        f"gap_widest_{name}": round(max(measured), 3),
        f"gap_silent_{name}": round(float(np.mean([gap for one, gap in pairs if max(map(abs, one.mouth)) < 0.01])), 3),
    }
    pressed = [gap for one, gap in pairs if one.mouth.press > 0.95]
    return figures | ({f"gap_pressed_{name}": round(max(pressed), 3)} if pressed else {})
