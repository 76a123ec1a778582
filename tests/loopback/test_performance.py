"""A viewer and the double, both real aiortc peers: what comes over the wire."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.asr.scripted import ScriptedRecognizer
from models.errors import EngineFailed
from models.face.counter import CounterFace, read_counter
from models.interfaces import BEAT_MS
from models.llm.scripted import ScriptedModel
from models.tts.tone import ToneSynthesizer
from models.turn.always import AlwaysDone
from models.vad.energy import EnergyVad
from peer_remote import encoders
from peer_remote.metrics import Metrics
from peer_remote.performer import Ears, perform
from peer_remote.settings import Settings
from peer_remote.turn import Cast
from signaling import protocol
from signaling.client import SignalingClient
from signaling.errors import BadToken
from tests.bench.steady import av_offsets_ms
from tests.bench.voices import Microphone
from tests.component.signaling_peers import serving, token
from tests.loopback.theatre import ROOM, SIZE_PX, theatre
from tests.viewer import Refused, Viewer, eventually

LONG = "This is a long answer. " * 12


async def test_a_typed_line_is_answered_with_sound_face_and_captions() -> None:
    async with theatre(llm=ScriptedModel(["Good evening, dear friends."])) as house, house.viewer() as viewer:
        viewer.send(protocol.Say(text="Hello"))
        await viewer.until_heard(loud=True)
        await viewer.until(protocol.State, state="listening")
        ended = viewer.of(protocol.TurnEnded)[0]
        assert (ended.reason, ended.text) == ("finished", "Good evening, dear friends.")
        assert [caption.text for caption in viewer.of(protocol.Caption)] == ["Good evening,", "dear friends."]
        assert viewer.of(protocol.UserText)[0].text == "Hello"
        assert [state.state for state in viewer.of(protocol.State)] == ["thinking", "speaking", "listening"]


async def test_lips_and_voice_belong_to_the_same_beats() -> None:
    async with theatre(llm=ScriptedModel([LONG])) as house, house.viewer(keep_pictures=400) as viewer:
        await viewer.until_heard(loud=False)
        viewer.send(protocol.Say(text="Hello"))
        await viewer.until_heard(loud=True)
        await asyncio.sleep(1.5)
        speaking = [media_s for media_s, picture in viewer.pictures if read_counter(picture)[1]]
        loud = [frame.media_s for frame in viewer.sound if frame.loud]
        assert abs(speaking[0] - loud[0]) <= BEAT_MS / 1_000
        positions = [read_counter(picture)[0] for _, picture in viewer.pictures]
        assert positions == sorted(positions)


async def test_pictures_and_sound_arrive_together() -> None:
    async with theatre() as house, house.viewer() as viewer:
        await asyncio.sleep(2)
        offsets_ms = np.array(av_offsets_ms(viewer.audio, viewer.video))
        assert abs(np.median(offsets_ms)) < 20


@pytest.mark.parametrize("stop", [protocol.Interrupt(), protocol.Say(text="Something else")])
async def test_it_falls_silent_when_told_and_nothing_old_comes_after(stop: Any) -> None:
    async with theatre(llm=ScriptedModel([LONG, ""])) as house, house.viewer() as viewer:
        viewer.send(protocol.Say(text="Hello"))
        await viewer.until_heard(loud=True)
        await asyncio.sleep(0.4)
        viewer.send(stop)
        ended = await viewer.until(protocol.TurnEnded)
        last_loud = max(frame.media_s for frame in viewer.sound if frame.loud)
        await asyncio.sleep(1)
        assert ended.reason == "interrupted"
        assert max(frame.media_s for frame in viewer.sound if frame.loud) - last_loud < 0.2
        assert len(ended.text) < len(LONG) / 2


async def test_all_viewers_see_the_same_performance() -> None:
    async with theatre(llm=ScriptedModel([LONG])) as house, house.viewer() as first, house.viewer() as second:
        first.send(protocol.Say(text="Hello"))
        for viewer in (first, second):
            await viewer.until_heard(loud=True)
            assert (await viewer.until(protocol.Caption)).text == "This is a long answer."
        assert second.of(protocol.UserText)[0].text == "Hello"
        newest = [max(read_counter(picture)[0] for _, picture in viewer.pictures) for viewer in (first, second)]
        assert abs(newest[0] - newest[1]) <= 5


async def test_speech_is_heard_understood_and_answered() -> None:
    microphone = Microphone()
    voice = np.sin(np.arange(48_000) * 0.05).astype(np.float32) * 0.3
    async with theatre(heard=("How are you?",)) as house, house.viewer(microphone=microphone) as viewer:
        await viewer.until_heard(loud=False)
        viewer.send(protocol.Microphone(on=True))
        await asyncio.sleep(1)
        await microphone.say(voice)
        understood = await viewer.until(protocol.UserText, final=True)
        assert (understood.text, understood.source) == ("How are you?", "spoken")
        await viewer.until_heard(loud=True)
        moments_ms = (await viewer.until(protocol.TurnEnded)).moments_ms
        assert moments_ms["end_of_speech"] == 0 < moments_ms["transcript"] < moments_ms["first_packet"]


async def test_speaking_while_it_talks_stops_it() -> None:
    microphone = Microphone()
    voice = np.sin(np.arange(96_000) * 0.05).astype(np.float32) * 0.3
    async with theatre(llm=ScriptedModel([LONG])) as house, house.viewer(microphone=microphone) as viewer:
        await viewer.until_heard(loud=False)
        viewer.send(protocol.Microphone(on=True))
        await asyncio.sleep(1)
        viewer.send(protocol.Say(text="Hello"))
        await viewer.until_heard(loud=True)
        speaking = asyncio.ensure_future(microphone.say(voice))
        ended = await viewer.until(protocol.TurnEnded)
        assert ended.reason == "interrupted"
        assert not speaking.done()
        await speaking


async def test_a_muted_microphone_is_not_listened_to() -> None:
    microphone = Microphone()
    voice = np.sin(np.arange(48_000) * 0.05).astype(np.float32) * 0.3
    async with theatre() as house, house.viewer(microphone=microphone) as viewer:
        await viewer.until_heard(loud=False)
        await microphone.say(voice)
        await asyncio.sleep(1)
        assert viewer.of(protocol.UserText) == []


def lose(viewer: Viewer, kind: str, pattern: Callable[[int], bool]) -> list[int]:
    """Drop incoming packets of one track by their number; returns the list of what was lost, which grows."""
    lost: list[int] = []
    for transceiver in viewer.connection.getTransceivers():
        if transceiver.kind == kind:
            _lose_at(transceiver.receiver, pattern, lost)
    return lost


def _lose_at(receiver: Any, pattern: Callable[[int], bool], lost: list[int]) -> None:
    handle = receiver._handle_rtp_packet
    numbers = itertools.count()

    async def losing(packet: Any, arrival_time_ms: int) -> None:
        number = next(numbers)
        if pattern(number):
            lost.append(number)
        else:
            await handle(packet, arrival_time_ms)

    receiver._handle_rtp_packet = losing


async def test_lost_pictures_are_sent_again_and_the_face_goes_on() -> None:
    async with theatre() as house, house.viewer() as viewer:
        await viewer.until_heard(loud=False)
        lost = lose(viewer, "video", lambda number: number % 10 == 3)
        await asyncio.sleep(2)
        assert len(lost) >= 4
        before = read_counter(viewer.pictures[-1][1])[0]
        await asyncio.sleep(1)
        assert read_counter(viewer.pictures[-1][1])[0] >= before + 15


async def test_lost_sound_leaves_the_rest_in_its_place() -> None:
    async with theatre(llm=ScriptedModel([LONG])) as house, house.viewer() as viewer:
        await viewer.until_heard(loud=False)
        lost = lose(viewer, "audio", lambda number: number % 25 == 7)
        await asyncio.sleep(2)
        media_s = [frame.media_s for frame in viewer.sound]
        assert lost and media_s == sorted(media_s)
        assert media_s[-1] - media_s[0] > 1.5


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ('{"type":"sing","text":"la"}', "bad_message"),
        ("not json", "bad_message"),
        ('{"type":"say","text":""}', "bad_message"),
        ('{"type":"say","text":"' + "x" * 2_001 + '"}', "bad_message"),
        ('{"type":"say","text":"hi","volume":11}', "bad_message"),
    ],
)
async def test_a_message_that_is_not_understood_gets_one_sentence_and_the_call_goes_on(data: str, code: str) -> None:
    async with theatre() as house, house.viewer() as viewer:
        viewer.send_raw(data)
        error = await viewer.until(protocol.Error)
        assert error.code == code and error.message.endswith(".") and "\n" not in error.message
        viewer.send(protocol.Ping(id=7))
        assert (await viewer.until(protocol.Pong)).id == 7


async def test_an_engine_that_breaks_in_the_middle_is_survived_by_everybody() -> None:
    broken = ToneSynthesizer(fail_after_chunks=3)
    async with theatre(tts=broken, llm=ScriptedModel([LONG])) as house, house.viewer() as viewer:
        async with house.viewer() as other:
            viewer.send(protocol.Say(text="Hello"))
            for seat in (viewer, other):
                error = await seat.until(protocol.Error)
                assert error.code == EngineFailed.code
            broken.fail_after_chunks = None
            other.send(protocol.Say(text="Again"))
            await viewer.until(protocol.Caption, turn_id=2)
            await viewer.until_heard(loud=True)


async def test_an_offer_that_makes_no_sense_is_answered_with_bye() -> None:
    async with theatre() as house:
        with pytest.raises(Refused):
            async with house.viewer(change_offer=lambda sdp: "v=0\r\nnonsense"):
                pass
        async with house.viewer() as viewer:
            await viewer.until_heard(loud=False)


class BrokenVad:
    def probability(self, window: object) -> float:
        raise RuntimeError("broken")

    def reset(self) -> None: ...


async def test_ears_that_break_are_told_and_the_rest_goes_on() -> None:
    async with theatre(vad=BrokenVad) as house, house.viewer(microphone=Microphone()) as viewer:
        await viewer.until_heard(loud=False)
        viewer.send(protocol.Microphone(on=True))
        assert (await viewer.until(protocol.Error)).code == "ears_failed"
        viewer.send(protocol.Say(text="Hello"))
        await viewer.until_heard(loud=True)


async def test_a_viewer_that_takes_only_short_messages_harms_nobody() -> None:
    async with theatre(llm=ScriptedModel([LONG])) as house, house.viewer() as viewer:
        async with house.viewer(change_offer=lambda sdp: sdp + "a=max-message-size:20\r\n") as small:
            small.send(protocol.Say(text="Hello"))
            await viewer.until_heard(loud=True)
        viewer.send(protocol.Interrupt())
        await viewer.until(protocol.TurnEnded)


async def test_a_viewer_who_leaves_gives_up_the_seat() -> None:
    async with theatre() as house:
        for _ in range(2):
            async with house.viewer() as viewer:
                await viewer.until_heard(loud=False)
                assert house.figure("understudy_viewers") == 1
            await eventually(lambda: house.figure("understudy_viewers") == 0)


@pytest.mark.parametrize(("codec", "name"), [(None, "VP8"), ("vp8", "VP8"), ("h264", "H264")])
async def test_the_codec_can_be_chosen(codec: str | None, name: str) -> None:
    async with theatre(remote={"video_codec": codec}) as house, house.viewer() as viewer:
        await viewer.until_heard(loud=False)
        await eventually(lambda: bool(viewer.pictures))
        answer = viewer.connection.remoteDescription.sdp
        video = answer[answer.index("m=video") :]
        payload_type = video.split("\r\n")[0].split()[3]
        assert f"a=rtpmap:{payload_type} {name}/90000" in video


def test_aiortc_still_has_the_bit_rate_constants_that_we_set() -> None:
    encoders.set_video_bitrate(start_bps=900_000, lowest_bps=450_000, highest_bps=1_800_000)
    from aiortc.codecs.vpx import Vp8Encoder

    encoder = Vp8Encoder()
    assert encoder.target_bitrate == 900_000
    encoder.target_bitrate = 1
    assert encoder.target_bitrate == 450_000


async def test_a_viewers_token_does_not_make_a_performer() -> None:
    async with serving() as service:
        wire = SignalingClient(service.url, ROOM, token("viewer"))
        cast = Cast(ScriptedModel(), ToneSynthesizer(), CounterFace(SIZE_PX))
        with pytest.raises(ExceptionGroup) as caught:
            await perform(
                Settings(), cast, Ears(EnergyVad, AlwaysDone(), ScriptedRecognizer()), wire=wire, metrics=Metrics()
            )
    assert caught.group_contains(BadToken, match="lets in a viewer")
