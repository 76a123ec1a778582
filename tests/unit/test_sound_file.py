"""A sound file as ears hear it."""

import wave
from pathlib import Path

import numpy as np
import pytest

from peer_local.devices.sound_file import SoundFile, open_file
from peer_local.errors import DeviceError
from tests.unit.sound_fakes import Clock, Failing, Notes, stepping


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Half a second of a tone, 44.1 kHz stereo."""
    file = tmp_path / "speech.wav"
    tone = np.sin(2 * np.pi * 500 / 44_100 * np.arange(22_050)) * 16_000
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(44_100)
        sound.writeframes(np.repeat(tone.astype("<i2"), 2).tobytes())
    return file


def test_a_file_is_heard_in_real_time_and_then_there_is_silence(speech: Path) -> None:
    clock = Clock()
    notes = Notes()
    playing = SoundFile(speech, notes, 16_000, now=clock, wait=stepping(clock, 50))
    playing._thread.join(5)
    assert playing.done
    assert {len(samples) for samples, _ in notes.pushes} == {320}
    assert [at_s for _, at_s in notes.pushes] == pytest.approx([100 + i * 0.02 for i in range(50)])
    sounding = np.flatnonzero(np.abs(notes.samples) > 0.1)
    assert sounding[0] < 100
    assert sounding[-1] == pytest.approx(8_000, abs=100)
    playing.close()
    assert not playing.alive


def test_every_push_comes_when_its_last_sample_is_recorded(speech: Path) -> None:
    clock = Clock()
    late_s: list[float] = []

    class Listener(Notes):
        def push(self, samples, at_s):  # type: ignore[no-untyped-def]
            late_s.append(clock() - at_s)

    SoundFile(speech, Listener(), 16_000, now=clock, wait=stepping(clock, 20))._thread.join(5)
    assert late_s == pytest.approx([0.02] * 20)


def test_a_stalled_machine_leaves_nothing_out(speech: Path) -> None:
    def heard(late_s: float) -> Notes:
        clock = Clock()
        notes = Notes()
        wait = stepping(clock, 50, lambda step: late_s if step == 10 else 0.0)
        SoundFile(speech, notes, 16_000, now=clock, wait=wait)._thread.join(5)
        return notes

    stalled = heard(2.0)
    assert np.array_equal(stalled.samples, heard(0.0).samples)
    assert stalled.pushes[-1][1] == pytest.approx(102 + 49 * 0.02)


def test_a_file_can_be_played_faster(speech: Path) -> None:
    clock = Clock()
    notes = Notes()
    SoundFile(speech, notes, 16_000, speed=10, now=clock, wait=stepping(clock, 50))._thread.join(5)
    assert notes.pushes[-1][1] == pytest.approx(100 + 49 * 0.002)


def test_an_opener_plays_from_the_start_until_closed(speech: Path) -> None:
    notes = Notes()
    playing = open_file(speech, speed=100)(notes, 16_000)
    assert isinstance(playing, SoundFile)
    assert playing.wait_done(5)
    assert playing.alive
    assert playing.name == "speech.wav"
    playing.close()
    assert not playing.alive


def test_a_listener_that_raises_does_not_end_it(speech: Path) -> None:
    clock = Clock()
    playing = SoundFile(speech, Failing(), 16_000, now=clock, wait=stepping(clock, 5))
    playing._thread.join(5)
    assert playing.failed_pushes == 5


def test_a_file_without_sound_says_so(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no sound in here")
    with pytest.raises(DeviceError, match=r"notes\.txt holds no sound; name a WAV file"):
        open_file(text)(Notes(), 16_000)
    with pytest.raises(DeviceError, match=r"^There is no file \S+missing\.wav; name a WAV file that is there\.$"):
        open_file(tmp_path / "missing.wav")(Notes(), 16_000)


def test_a_damaged_file_ends_where_it_is_damaged(speech: Path) -> None:
    whole = speech.read_bytes()
    speech.write_bytes(whole[: len(whole) // 2])
    clock = Clock()
    notes = Notes()
    playing = SoundFile(speech, notes, 16_000, now=clock, wait=stepping(clock, 50))
    playing._thread.join(5)
    assert playing.done
    assert len(notes.pushes) == 50
