"""What a peer on the data channel may ask of the conversation, by its role."""

import time
from collections.abc import Callable

from peer_remote.conversation import Conversation
from signaling import protocol

OPERATORS_ONLY = (
    protocol.Speak,
    protocol.Draft,
    protocol.Overheard,
    protocol.Expect,
    protocol.Hold,
    protocol.Resume,
    protocol.Restore,
    protocol.Heard,
)
Reply = Callable[[protocol.Drafted | protocol.Error], None]


def obey(
    conversation: Conversation,
    role: protocol.Role,
    message: protocol.ToPerformer,
    reply: Reply,
    *,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Do what `message` asks, or tell a peer that is no operator that it may not; lines of nothing are ignored."""
    if isinstance(message, OPERATORS_ONLY) and role != "operator":
        text = "Only the room's operator may do that; join with a token made with --role operator."
        reply(protocol.Error(code="operators_only", message=text))
        return
    match message:
        case protocol.Say() if text := message.text.strip():
            _say(conversation, message, text, now())
        case protocol.Speak() if text := message.text.strip():
            conversation.speak(text, answers=(message.answers or "").strip() or None)
        case protocol.Draft() if text := message.text.strip():
            conversation.draft(text, reply)
        case protocol.Overheard() if text := message.text.strip():
            conversation.overhear(text)
        case protocol.Expect() if text := message.text.strip():
            conversation.expect(text)
        case protocol.Hold():
            conversation.hold()
        case protocol.Resume():
            conversation.resume(message.turn_id, message.samples)
        case protocol.Restore():
            pairs = ((exchange.asked.strip(), exchange.answered.strip()) for exchange in message.exchanges)
            conversation.restore([pair for pair in pairs if all(pair)], (message.summary or "").strip())
        case protocol.Interrupt():
            conversation.interrupt()
        case protocol.Heard():
            conversation.heard(message.turn_id, message.samples)


def _say(conversation: Conversation, message: protocol.Say, text: str, now_s: float) -> None:
    if message.source == "typed":
        conversation.say(text, source="typed")
        return
    conversation.say(
        text,
        source="spoken",
        speech_ended_s=now_s - message.speech_ended_ms / 1_000,
        transcribed_s=now_s - message.transcribed_ms / 1_000,
    )
