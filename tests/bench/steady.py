"""Two minutes with three answers: does the picture keep its rate, the sound its flow, and memory its size?"""

import asyncio
import time

import numpy as np
import psutil

from signaling import protocol
from tests.bench.product import ROOM, running
from tests.viewer import Received, Viewer

DURATION_S = 120.0
WARM_UP = "Hello, how are you doing today?"
WARM_UP_S = 40.0
"""Every engine has worked and the openings are learnt by then; what memory they take is no growth."""
QUESTIONS = (
    "Tell me about a city that you like.",
    "What makes a good team?",
    "How was the weather this week?",
)
LATE_S = 0.2
"""An audio packet later than this after the one before it is a gap that a listener's buffer may not cover."""


async def measure() -> dict[str, float]:
    async with running() as product, Viewer(product.url, ROOM, product.token()) as viewer:
        performer = psutil.Process(product.performer_pid)
        viewer.send(protocol.Say(text=WARM_UP))
        await asyncio.sleep(WARM_UP_S)
        started_s, cpu_before = time.monotonic(), performer.cpu_times()
        answers = 0
        memory_mb = []
        for question in QUESTIONS:
            viewer.send(protocol.Say(text=question))
            for _ in range(4):
                await asyncio.sleep(DURATION_S / len(QUESTIONS) / 4)
                memory_mb.append(performer.memory_info().rss / 1e6)
            answers += len(viewer.of(protocol.TurnEnded)) > answers + 1
        cpu = performer.cpu_times()
        lasted_s = time.monotonic() - started_s
        video, audio = viewer.video.timeline(), viewer.audio.timeline()
        offsets_ms = np.array(av_offsets_ms(viewer.audio, viewer.video))
    span_s = video[-1].at_s - video[0].at_s
    missing = round((audio[-1].media_s - audio[0].media_s) / 0.02) + 1 - len(audio)
    late = int(np.sum(np.diff([arrival.at_s for arrival in audio]) > LATE_S))
    half = len(memory_mb) // 2
    return {
        "answers": answers,
        "delivered_fps": round((len(video) - 1) / span_s, 2),
        "audio_gaps": missing + late,
        "audio_missing_packets": missing,
        "audio_late_packets": late,
        "av_offset_mean_ms": round(float(offsets_ms.mean()), 1),
        "av_offset_p99_ms": round(float(np.percentile(np.abs(offsets_ms), 99)), 1),
        "video_kbps": round(viewer.video.payload_bytes * 8 / span_s / 1_000, 0),
        "audio_kbps": round(viewer.audio.payload_bytes * 8 / span_s / 1_000, 0),
        "performer_cpu_cores": round((cpu.user + cpu.system - cpu_before.user - cpu_before.system) / lasted_s, 2),
        "memory_mb": round(memory_mb[-1], 0),
        "memory_growth_mb": round(float(np.mean(memory_mb[half:]) - np.mean(memory_mb[:half])), 1),
    }


def av_offsets_ms(audio: Received, video: Received) -> list[float]:
    """For each picture, how much later it arrived than the sound of the same media time; both tracks start at 0."""
    sound = audio.timeline()
    media_s = np.array([arrival.media_s for arrival in sound])
    at_s = np.array([arrival.at_s for arrival in sound])
    return [float((picture.at_s - np.interp(picture.media_s, media_s, at_s)) * 1_000) for picture in video.timeline()]
