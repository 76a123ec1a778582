"""The performer: everything between the signaling service and the engines, put together once."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from pydantic import BaseModel

from models.face.choice import name_of
from models.hearing.listener import (
    HearingEvent,
    Listener,
    PartialText,
    SpeechConfirmed,
    SpeechDropped,
    SpeechStarted,
    Utterance,
)
from models.interfaces import HEARING_RATE_HZ, Counted, EndOfTurnDetector, SpeechRecognizer, VoiceActivityDetector
from models.tts.phrase_cache import PhraseCache
from peer_remote.clauses import clauses_of
from peer_remote.clock import MediaClock
from peer_remote.commands import obey
from peer_remote.conversation import Conversation
from peer_remote.encoders import set_video_bitrate
from peer_remote.history import History
from peer_remote.ice import NoFreePort, media_ports
from peer_remote.metrics import Metrics
from peer_remote.notes import Notes
from peer_remote.notice import LOOK_S, NoticeFile
from peer_remote.performance import Performance
from peer_remote.rehearsal import Rehearsal
from peer_remote.session import Session
from peer_remote.settings import Settings
from peer_remote.stage import Stage
from peer_remote.tracks import Seat
from peer_remote.turn import Cast
from peer_remote.vitals import Vitals
from signaling import protocol
from signaling.client import SignalingClient
from signaling.errors import BadMessage, BadToken, ConnectionLost

logger = logging.getLogger(__name__)

CALM_S = 1.5
"""After this long without a turn the voice may learn a phrase, which takes it half a second."""
FEWEST_EXCHANGES = 24
EXCHANGE_TOKENS = 170
"""Of a model's context for each exchange that is kept as it was; in Ukrainian one takes about a hundred."""
RESERVED_TOKENS = 400
"""Of the context for what is no conversation: the notes that are shown, or the request for a summary."""
MOST_WAITING_MESSAGES = 64
"""Of one peer that offers or trickles faster than it is answered; the oldest goes first."""

Negotiation = protocol.Offer | protocol.Candidate
Leaving = Literal["left", "closed"]
"""A peer that left the room may still be connected; one that closed its connection is gone."""


@dataclass(frozen=True, slots=True)
class Ears:
    """The engines that listen; `vad` makes one detector per listener."""

    vad: Callable[[], VoiceActivityDetector]
    turn: EndOfTurnDetector
    asr: SpeechRecognizer


class Wire(Protocol):
    """The performer's side of the signaling service."""

    async def send(self, message: protocol.Answer | protocol.Bye) -> None:
        """Send to a peer of the room. Raises ConnectionLost."""
        ...


class Performer:
    """One performance for everybody in the room. Feed it the signaling service's messages with `handle`."""

    def __init__(
        self, settings: Settings, cast: Cast, ears: Ears, *, tasks: asyncio.TaskGroup, wire: Wire, metrics: Metrics
    ) -> None:
        remote = settings.remote
        bitrate = remote.video_bitrate_kbps * 1_000
        set_video_bitrate(start_bps=bitrate, lowest_bps=bitrate // 2, highest_bps=bitrate * 2)
        self._settings = settings
        self._vitals = Vitals(
            cast,
            {"llm": settings.llm.engine, "tts": settings.tts.engine, "face": name_of(cast.face, settings.face)},
            metrics=metrics,
            changed=self._engines_changed,
        )
        self._phrases = PhraseCache(cast.tts)
        self._cast = cast = replace(cast, tts=self._phrases)
        self._persona = settings.persona.persona()
        self.rehearsal = Rehearsal(
            self._phrases,
            (*self._persona.openings, *clauses_of(self._persona.trouble_line())),
            calm=self._calm,
        )
        self._history = History(
            self._persona.messages(),
            longest=max(FEWEST_EXCHANGES, settings.llm.context_tokens // EXCHANGE_TOKENS),
            budget_tokens=settings.llm.context_tokens - settings.llm.max_answer_tokens - RESERVED_TOKENS,
        )
        self._notes = None if settings.persona.notes_dir is None else Notes(settings.persona.notes_dir)
        self._ears = ears
        self._tasks = tasks
        self._wire = wire
        self._metrics = metrics
        self._notice = None if remote.notice_file is None else NoticeFile(remote.notice_file)
        self._ice_servers: tuple[protocol.IceServer, ...] = ()
        self._media_ports = media_ports(remote)
        self._roles: dict[str, protocol.Role] = {}
        self._sessions: dict[str, Session] = {}
        self._empty = asyncio.Event()
        self._inboxes: dict[str, asyncio.Queue[Negotiation | Leaving]] = {}
        self._clock = MediaClock()
        self._stage = Stage(lead_ms=remote.lead_ms)
        self.conversation = Conversation(
            cast,
            self._stage,
            self._history,
            max_answer_tokens=settings.llm.max_answer_tokens,
            tasks=tasks,
            send=self._broadcast,
            metrics=metrics,
            media_s=self._clock.media_s,
            notes=self._notes,
            preemptive=settings.llm.preemptive,
            longest_answer_s=settings.llm.longest_answer_s or None,
            trouble=self._persona.trouble_line(),
            performed=self._vitals.performed,
        )
        self.performance = Performance(
            self._stage, cast.face, self._clock, played=self.conversation.played, drawn=self._idle_drawn
        )
        metrics.watch(
            "late_pictures", "Pictures shown again because the next was late", lambda: self.performance.late_pictures
        )
        metrics.watch("failed_pictures", "Pictures that could not be drawn", lambda: self.performance.failed_pictures)
        metrics.watch("refused_beats", "Beats of a turn that was already over", lambda: self._stage.refused)
        metrics.watch("clock_rebases", "Stalls over 300 ms", lambda: self._clock.rebases)
        metrics.watch("dropped_beats", "Beats that viewers of now were too slow for", self._dropped_beats)
        metrics.watch("relayed_viewers", "Viewers reached through a TURN server now", self._relayed_viewers)
        if isinstance(cast.face, Counted):
            for name, (what, read) in cast.face.counters().items():
                metrics.watch(name, what, read)

    async def warm_up(self) -> None:
        """Let the engines work once and bring the persona into the cache: the first answer is as fast as the next."""
        await self._ears.asr.transcribe(np.zeros(HEARING_RATE_HZ, np.float32), language=self._settings.asr.language)
        await self._ears.turn.probability(np.zeros(HEARING_RATE_HZ, np.float32))
        await self._cast.llm.prefill(self._history.messages())

    async def tell_notices(self) -> None:
        """Pass on what the notice file says, for ever; at once when there is no such file."""
        while self._notice is not None:
            if (notice := self._notice.look()) is not None:
                self._broadcast(notice)
            await asyncio.sleep(LOOK_S)

    async def _calm(self) -> bool:
        """Whether nothing was said or asked for CALM_S from now."""
        turns = self.conversation.turns
        await asyncio.sleep(CALM_S)
        return self.conversation.at_rest and self.conversation.turns == turns

    def handle(self, message: protocol.FromService) -> None:
        """Act on one message of the signaling service. Raises BadToken when the token is not a performer's."""
        match message:
            case protocol.Welcome(role=role, peers=peers, ice_servers=servers):
                if role != "performer":
                    raise BadToken(f"The token lets in a {role}; make one with --role performer.")
                self._ice_servers = servers
                self._roles = {peer.peer_id: peer.role for peer in peers}
                for absent in self._inboxes.keys() - self._roles.keys():
                    self._pass_on(absent, "left")
                logger.info("on_stage", extra={"room": self._settings.remote.room})
            case protocol.Offer(sender=str(peer_id)) | protocol.Candidate(sender=str(peer_id)):
                self._pass_on(peer_id, message)
            case protocol.PeerJoined(peer=peer):
                self._roles[peer.peer_id] = peer.role
            case protocol.PeerLeft(peer_id=peer_id):
                self._roles.pop(peer_id, None)
                self._pass_on(peer_id, "left")
            case protocol.Bye(sender=str(peer_id)):
                self._pass_on(peer_id, "closed")
            case protocol.Error(code=code):
                logger.warning("signaling_refused", extra={"code": code})

    @property
    def sessions(self) -> tuple[Session, ...]:
        """Who is connected now."""
        return tuple(self._sessions.values())

    async def aclose(self) -> None:
        """Stop talking for good and close every session."""
        self.conversation.close()
        if self._notes is not None:
            self._notes.close()
        for inbox in self._inboxes.values():
            if inbox.full():
                inbox.get_nowait()
            inbox.put_nowait("closed")
        await asyncio.gather(*(session.close() for session in self.sessions))

    def _pass_on(self, peer_id: str, message: Negotiation | Leaving) -> None:
        """Queue `message` for the peer's own task, so that a slow peer holds up nobody."""
        inbox = self._inboxes.get(peer_id)
        if inbox is None:
            if not isinstance(message, protocol.Offer):
                return
            inbox = self._inboxes[peer_id] = asyncio.Queue(MOST_WAITING_MESSAGES)
            self._tasks.create_task(self._negotiate(peer_id, inbox), name=f"negotiation {peer_id}")
        if inbox.full():
            logger.warning("negotiation_overrun", extra={"peer": peer_id})
            inbox.get_nowait()
        inbox.put_nowait(message)

    async def _negotiate(self, peer_id: str, inbox: asyncio.Queue[Negotiation | Leaving]) -> None:
        """Act on one peer's messages in their order until it leaves; a connection that is up needs no room."""
        while not isinstance(message := await inbox.get(), str):
            if isinstance(message, protocol.Offer):
                await self._answer(peer_id, message.sdp)
            elif session := self._sessions.get(peer_id):
                await session.add_candidate(message)
        del self._inboxes[peer_id]
        session = self._sessions.get(peer_id)
        if session is not None and not (message == "left" and session.connected):
            await session.close()

    async def _answer(self, peer_id: str, sdp: str) -> None:
        reply: protocol.Answer | protocol.Bye
        try:
            reply = protocol.Answer(to=peer_id, sdp=await self._session_for(peer_id, sdp).answer(sdp))
        except (BadMessage, NoFreePort, ValueError) as error:
            logger.warning("offer_not_answered", extra={"peer": peer_id, "error": type(error).__name__})
            if session := self._sessions.get(peer_id):
                await session.close()
            # ValueError: aiortc takes fewer ICE addresses than browsers do, and its sentences are for programmers.
            reply = protocol.Bye(to=peer_id, reason=None if isinstance(error, ValueError) else str(error))
        try:
            await self._wire.send(reply)
        except ConnectionLost:
            logger.warning("reply_lost", extra={"peer": peer_id})

    def _session_for(self, peer_id: str, sdp: str) -> Session:
        """The session that `sdp` belongs to, or a new one; one that it replaces is closed. Raises ValueError."""
        session = self._sessions.get(peer_id)
        if session is not None and not session.continues(sdp):
            self._tasks.create_task(session.close(), name=f"close {peer_id}")
            session = None
        if session is None:
            session = Session(
                peer_id,
                Seat(self.performance, self._clock),
                ice_servers=self._ice_servers,
                media_ports=self._media_ports,
                role=self._roles.get(peer_id, "viewer"),
                video_codec=self._settings.remote.video_codec,
                tasks=self._tasks,
                listener=self._make_listener,
                opened=self._greet,
                received=self._received,
                closed=self._forget,
            )
            self._sessions[peer_id] = session
            self._metrics.viewers.set(len(self._sessions))
        return session

    def _relayed_viewers(self) -> int:
        return sum(session.relayed for session in self.sessions)

    def _dropped_beats(self) -> int:
        return sum(session.dropped_beats for session in self.sessions)

    async def last_one_left(self) -> None:
        """Return when nobody is connected."""
        while self._sessions:
            self._empty.clear()
            await self._empty.wait()

    def _forget(self, session: Session) -> None:
        if self._sessions.get(session.peer_id) is session:
            del self._sessions[session.peer_id]
        if not self._sessions:
            self._empty.set()
        self._metrics.viewers.set(len(self._sessions))

    def _greet(self, session: Session) -> None:
        conversation = self.conversation
        session.send(protocol.Hello(name=self._persona.name, state=conversation.state, turns=conversation.turns))
        session.send(self._vitals.report())
        if self._notice is not None and self._notice.text:
            session.send(protocol.Notice(text=self._notice.text))
        if session.role == "operator" and self._history.summary:
            session.send(protocol.Remembered(summary=self._history.summary))

    def _engines_changed(self, report: protocol.Services) -> None:
        self.rehearsal.voice_may_have_changed()
        self._broadcast(report)

    def _idle_drawn(self, well: bool) -> None:
        if well:
            self._vitals.worked("face")
        else:
            self._vitals.failed("face", "failed")

    def _broadcast(self, message: BaseModel) -> None:
        for session in self._sessions.values():
            if session.role == "operator" or not isinstance(message, protocol.Remembered):
                session.send(message)

    def _received(self, session: Session, message: protocol.ToPerformer) -> None:
        obey(self.conversation, session.role, message, session.send)

    def _make_listener(self) -> Listener:
        return Listener(
            self._ears.vad(),
            self._ears.turn,
            self._ears.asr,
            language=self._settings.asr.language,
            tasks=self._tasks,
            emit=self._heard,
        )

    def _heard(self, event: HearingEvent) -> None:
        match event:
            case SpeechConfirmed():
                self.conversation.interrupt()
            case PartialText(text=text):
                self._broadcast(protocol.UserText(text=text, final=False, source="spoken"))
                self.conversation.expect(text)
            case Utterance(text=text, speech_ended_s=ended_s, transcribed_s=transcribed_s):
                if text:
                    self.conversation.say(text, source="spoken", speech_ended_s=ended_s, transcribed_s=transcribed_s)
                else:
                    self._broadcast(protocol.Error(code="not_understood", message="Sorry, that was not understood."))
            case SpeechStarted() | SpeechDropped():
                pass


async def perform(settings: Settings, cast: Cast, ears: Ears, *, wire: SignalingClient, metrics: Metrics) -> None:
    """Be the room's performer until the wire ends or this is cancelled. Raises SignalingError and ModelError."""
    async with asyncio.TaskGroup() as tasks:
        performer = Performer(settings, cast, ears, tasks=tasks, wire=wire, metrics=metrics)
        await performer.warm_up()
        playing = tasks.create_task(performer.performance.run(), name="performance")
        learning = tasks.create_task(performer.rehearsal.run(), name="rehearsal")
        telling = tasks.create_task(performer.tell_notices(), name="notices")
        try:
            async with wire:
                async for message in wire:
                    performer.handle(message)
        except BadToken:
            # A token that expires ends no call: it is noticed when the service has to be joined again.
            if performer.sessions:
                logger.warning("token_refused_during_a_call")
                await performer.last_one_left()
            raise
        finally:
            await performer.aclose()
            playing.cancel()
            learning.cancel()
            telling.cancel()
