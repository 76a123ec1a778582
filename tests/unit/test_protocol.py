import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from signaling import protocol
from signaling.errors import BadMessage
from signaling.protocol import FROM_PEER, FROM_PERFORMER, FROM_SERVICE, MAX_MESSAGE_BYTES, TO_PERFORMER, Error, parse

A, B = "a" * 16, "b" * 16
PEER = protocol.Peer(peer_id=A, role="performer")
SERVER = protocol.IceServer(urls=("turn:turn.example.org",), username="u", credential="c")

EVERY_MESSAGE: list[tuple[TypeAdapter[Any], BaseModel]] = [
    (FROM_PEER, protocol.Join(version=1, room="main", token="t")),
    (FROM_PEER, protocol.Offer(to=A, sdp="v=0")),
    (FROM_PEER, protocol.Answer(to=A, sdp="v=0")),
    (FROM_PEER, protocol.Candidate(to=A, candidate="candidate:1 1 udp", sdp_mid="0", sdp_m_line_index=0)),
    (FROM_PEER, protocol.Bye(to=A)),
    (FROM_SERVICE, protocol.Welcome(peer_id=B, role="viewer", peers=(PEER,), ice_servers=(SERVER,))),
    (FROM_SERVICE, protocol.PeerJoined(peer=PEER)),
    (FROM_SERVICE, protocol.PeerLeft(peer_id=A)),
    (FROM_SERVICE, protocol.Offer(to=A, sender=B, sdp="v=0")),
    (FROM_SERVICE, Error(code="bad_token", message="No.", fatal=True)),
    (TO_PERFORMER, protocol.Say(text="Hello")),
    (TO_PERFORMER, protocol.Say(text="Hello", source="spoken", speech_ended_ms=700.5, transcribed_ms=80)),
    (TO_PERFORMER, protocol.Speak(text="Good morning.", answers="Hello")),
    (TO_PERFORMER, protocol.Draft(text="Shall we?")),
    (TO_PERFORMER, protocol.Overheard(text="He is late.")),
    (TO_PERFORMER, protocol.Expect(text="Shall we")),
    (TO_PERFORMER, protocol.Hold()),
    (TO_PERFORMER, protocol.Resume(turn_id=1, samples=96_000)),
    (TO_PERFORMER, protocol.Restore(exchanges=(protocol.Exchange(asked="Hi", answered="Hello!"),))),
    (TO_PERFORMER, protocol.Restore(exchanges=(), summary="They met on Monday.")),
    (TO_PERFORMER, protocol.Interrupt()),
    (TO_PERFORMER, protocol.Heard(turn_id=1, samples=1920)),
    (TO_PERFORMER, protocol.Microphone(on=True)),
    (TO_PERFORMER, protocol.Ping(id=7)),
    (FROM_PERFORMER, protocol.Hello(name="Ada", state="listening", turns=3)),
    (FROM_PERFORMER, protocol.State(state="thinking", turn_id=1)),
    (FROM_PERFORMER, protocol.UserText(text="Hello", final=True, source="typed")),
    (
        FROM_PERFORMER,
        protocol.Caption(turn_id=1, index=0, text="Good morning.", duration_ms=900, start_samples=0, at_s=1.5),
    ),
    (FROM_PERFORMER, protocol.Silence(at_s=1.25)),
    (FROM_PERFORMER, protocol.Drafted(answers="Shall we?", text="Yes, let's.")),
    (FROM_PERFORMER, protocol.Remembered(summary="They met on Monday.")),
    (FROM_PERFORMER, protocol.Notice(text="The machine of the double goes off in 5 minutes.")),
    (FROM_PERFORMER, protocol.TurnEnded(turn_id=1, reason="finished", text="", moments_ms={"first_token": 81.5})),
    (FROM_PERFORMER, protocol.Pong(id=7)),
]


@pytest.mark.parametrize(("adapter", "message"), EVERY_MESSAGE, ids=lambda value: getattr(value, "type", ""))
def test_what_is_written_is_read_again(adapter: TypeAdapter[Any], message: BaseModel) -> None:
    assert parse(adapter, protocol.dump(message)) == message


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "Invalid JSON"),
        ("[]", "object"),
        ("{}", "type"),
        ('{"type": "dance"}', "dance"),
        ('{"type": "bye"}', "to"),
        ('{"type": "bye", "to": "A"}', "to"),
        ('{"type": "bye", "to": "aaaaaaaa", "by": "me"}', "by"),
        ('{"type": "join", "version": 1, "room": "a room", "token": "t"}', "room"),
        ('{"type": "welcome"}', "welcome"),
        (b"\xff\xfe", "Invalid JSON"),
        ('{"type": "say\ud800"}', "not understood"),
        ("[" * 10_000, "Invalid JSON"),
    ],
)
def test_what_is_not_a_message_gets_one_short_sentence(data: str | bytes, reason: str) -> None:
    with pytest.raises(BadMessage, match=reason) as caught:
        parse(FROM_PEER, data)
    text = str(caught.value)
    assert text.startswith("The message is not understood")
    assert text.endswith(".") and "\n" not in text


@pytest.mark.parametrize("data", ['"%s"', '{"type": "%s"}', '{"type": "bye", "to": "aaaaaaaa", "%s": 1}'])
def test_the_answer_to_a_long_bad_message_still_fits_into_an_error(data: str) -> None:
    with pytest.raises(BadMessage) as caught:
        parse(FROM_PEER, data % ("x" * 50_000))
    Error(code=caught.value.code, message=str(caught.value))


@pytest.mark.parametrize(("character", "reason"), [("a", "not understood"), ("ї", "longer than")])
def test_a_message_is_measured_in_bytes(character: str, reason: str) -> None:
    frame = '{"type":"say","text":"%s"}'
    with pytest.raises(BadMessage, match=reason):
        parse(TO_PERFORMER, frame % (character * (MAX_MESSAGE_BYTES - len(frame) + 2)))


@pytest.mark.parametrize("text", ["", "a" * 2_001])
def test_a_line_to_say_is_neither_empty_nor_a_book(text: str) -> None:
    with pytest.raises(BadMessage, match="text"):
        parse(TO_PERFORMER, json.dumps({"type": "say", "text": text}))


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_no_input_causes_anything_but_a_bad_message(data: str | bytes) -> None:
    with pytest.raises(BadMessage):
        parse(FROM_PEER, data)
