"""Real sound devices of a private PulseAudio: what an application hears from the virtual microphone, and when."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from peer_local.devices.pulse import CABLE_SINK, CABLE_SOURCE, CABLE_SOURCE_TITLE, PulseServer, VirtualMicrophone
from peer_local.devices.watch import CHECK_S
from tests.sound_server import SPEAKER, Recording, SoundServer, available, level_breaks, sound_server

pytestmark = pytest.mark.skipif(not available(), reason="needs PulseAudio, its tools and PortAudio")

SECONDS = 3.0
FREQUENCY_HZ = 440.0


@pytest.fixture(scope="module")
def server() -> Iterator[SoundServer]:
    with sound_server() as running:
        yield running


def printed_by(server: SoundServer, program: str, *arguments: float) -> Any:
    """What a program beside this file prints; PortAudio sees only what was there when its process began."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.component.{program}", *map(str, arguments)],
        env={**os.environ, **server.environment},
        capture_output=True,
        text=True,
        timeout=SECONDS + 30,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_virtual_microphone_appears_once_and_goes_with_who_made_it(server: SoundServer) -> None:
    mine = VirtualMicrophone(PulseServer(server.pactl))
    assert not mine.exists()
    mine.create()
    mine.create()
    titles = [source.title for source in PulseServer(server.pactl).sources()]
    assert titles.count(CABLE_SOURCE_TITLE) == 1
    another = VirtualMicrophone(PulseServer(server.pactl))
    another.create()
    another.remove()
    assert mine.exists()
    mine.remove()
    assert not mine.exists()
    assert PulseServer(server.pactl).default_sink() == SPEAKER


def plays_on(server: SoundServer, sink: str) -> bool:
    pulse = PulseServer(server.pactl)
    return pulse.index("output", sink) in [stream.device for stream in pulse.streams("output")]


def wait_for(fact: Callable[[], bool], within_s: float = 10.0) -> None:
    end_s = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def heard_sine(server: SoundServer) -> tuple[Any, Recording, int, int]:
    """What sine_player printed, what an application recorded, and the first and last sample of it that sound."""
    with server.recording(CABLE_SOURCE) as recording:
        played = printed_by(server, "sine_player", SECONDS, FREQUENCY_HZ)
    sounding = np.flatnonzero(np.abs(recording.samples) > 0.25)
    return played, recording, int(sounding[0]), int(sounding[-1])


def test_an_application_hears_every_sample_when_the_player_said_it_would(server: SoundServer) -> None:
    cable = VirtualMicrophone(PulseServer(server.pactl))
    cable.create()
    try:
        for _ in range(3):  # a machine busy with other work may starve the server itself
            played, recording, first, last = heard_sine(server)
            breaks = level_breaks(recording.samples[first : last - 48], FREQUENCY_HZ)
            if not breaks:
                break
        assert cable.exists()
    finally:
        cable.remove()
    assert played["name"] == "Understudy (cable)"
    assert played["alive"]
    assert (breaks, played["underflows"], played["failed_pulls"]) == (0, 0, 0)
    assert last - first > (SECONDS - 0.5) * 48_000

    positions, at_s, _ = np.array(played["pulls"]).T
    counts, arrived_s = recording.arrived_s()
    heard = (counts > first + 24_000) & (counts < last - 4_800)
    late_ms = 1_000 * (arrived_s - np.interp(counts - first, positions, at_s))[heard]
    print(f"arrival minus at_s: p5 {np.percentile(late_ms, 5):.1f}, p50 {np.median(late_ms):.1f} ms")
    assert abs(np.median(late_ms)) <= 20


def test_the_virtual_microphone_is_gone_after_the_program_that_made_it(server: SoundServer) -> None:
    assert printed_by(server, "sine_player", 0.5, FREQUENCY_HZ)["alive"]
    assert not VirtualMicrophone(PulseServer(server.pactl)).exists()


def test_the_double_is_not_left_on_a_loudspeaker_when_its_cable_goes(server: SoundServer) -> None:
    made_by_another = VirtualMicrophone(PulseServer(server.pactl))
    made_by_another.create()
    with ThreadPoolExecutor(1) as beside, server.recording(f"{SPEAKER}.monitor") as loudspeaker:
        playing = beside.submit(printed_by, server, "sine_player", SECONDS + 3, FREQUENCY_HZ)
        wait_for(lambda: plays_on(server, CABLE_SINK))
        made_by_another.remove()  # as a program does that another one has replaced
        time.sleep(0.3)
        assert plays_on(server, CABLE_SINK)
        assert not loudspeaker.samples.any()
        for line in server.pactl(("list", "short", "modules")).splitlines():
            if f"sink_name={CABLE_SINK}" in line:
                server.pactl(("unload-module", line.split()[0]))
        wait_for(lambda: not plays_on(server, SPEAKER), within_s=CHECK_S + 2)
        assert not playing.result()["alive"]


def test_what_the_ears_hear_has_the_time_at_which_it_was_played(server: SoundServer) -> None:
    off_ms = np.abs(printed_by(server, "click_loop", SECONDS))[2:]  # at its start a stream does not know its delay
    assert len(off_ms) >= 7
    print(f"heard minus played: p50 {np.median(off_ms):.1f}, largest {off_ms.max():.1f} ms")
    assert np.median(off_ms) <= 5
