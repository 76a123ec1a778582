"""What the camera shows: the double, the real user, a stand-in while the double is away, or black.

            lost: link down, or no new picture for LOST_S
double ──────────────────────────────► stand-in: the first of webcam, card, freeze that can be shown
       ◄──────────────────────────────
            back: new pictures for STEADY_S
any change by the owner (takeover, kill switch) cuts; every other change dissolves
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from models.interfaces import Image
from peer_local.interfaces import Who
from peer_local.on_air.framing import Fit, Framer, black, dissolve
from peer_local.settings import StandIn

logger = logging.getLogger(__name__)

T = TypeVar("T")

LOST_S = 0.4
"""A stall up to this holds the last picture: it looks like an ordinary hiccup of the network."""
STEADY_S = 0.2
"""New pictures must come for so long before they are shown, or a bad network would flicker between two pictures."""
GAP_S = 0.2
"""A longer pause between two new pictures is not steady."""
DISSOLVE_S = 0.25

Showing = Literal["double", "webcam", "card", "freeze", "black"]


@dataclass(frozen=True, slots=True)
class Scenes:
    """Where the pictures come from; I420 of any size, None when there is none. An unchanged picture is the same object.

    All are called on the camera's thread and must not block.
    """

    live: Callable[[float], Image | None]
    """The double's picture for the time at which it will be seen."""
    connected: Callable[[], bool]
    """Whether the performer is reached."""
    webcam: Callable[[], Image | None]
    card: Image
    freeze: Callable[[Image, float], Image]
    """The last live picture, of the camera's size, with the discreet sign."""


class Director:
    """Asked for one picture per tick of the camera; keeps no clock and never raises.

    `switch` may be called from any thread and holds from the next picture on. Budget at 1280x720: 1 ms for a new
    picture that must be scaled, 0.3 ms more while two are dissolved, nothing for one that is shown again.
    """

    def __init__(
        self,
        scenes: Scenes,
        *,
        width_px: int,
        height_px: int,
        fit: Fit = "letterbox",
        stand_in: Sequence[StandIn] = ("webcam", "card", "freeze"),
        who: Who = "double",
    ) -> None:
        self._scenes = scenes
        self._stand_in = tuple(stand_in)
        self._who: Who = who
        self._black = black(width_px, height_px)
        self._card = Framer(width_px, height_px, fit).fit(scenes.card)
        self._live = _LiveWatch()
        self._live_framer = Framer(width_px, height_px, fit)
        self._webcam_framer = Framer(width_px, height_px, fit)
        self._freeze_framer = Framer(width_px, height_px, fit)
        self._shown_who: Who = who
        self._shown: Image | None = None
        self._leaving: tuple[Image, float] | None = None
        self._errors: set[str] = set()
        self.showing: Showing = "black"
        """What is seen now; while two pictures are dissolved, the one that comes."""
        self.losses = 0
        """Changes from the double to a stand-in that its owner did not ask for."""
        self.failures = 0
        """Pictures that could not be had or used because of an error."""

    @property
    def who(self) -> Who:
        """Who is on air."""
        return self._who

    def switch(self, who: Who) -> None:
        """Put `who` on air."""
        self._who = who

    def picture(self, at_s: float) -> Image:
        """What is seen at `at_s`: always a picture of the camera's size, never to be changed in place."""
        who = self._who
        connected = self._ask(self._scenes.connected)
        live = self._fitted(self._live_framer, lambda: self._scenes.live(at_s))
        self._live.see(live, at_s, connected=connected is True)
        showing, image = self._choose(who, at_s)
        self._change(who, showing, at_s)
        self._shown = self._dissolved(image, at_s)
        return self._shown

    def _choose(self, who: Who, at_s: float) -> tuple[Showing, Image]:
        if who == "nobody":
            return "black", self._black
        if who == "double" and self._live.on and self._live.last is not None:
            return "double", self._live.last
        kinds: Sequence[StandIn] = self._stand_in if who == "double" else ("webcam",)
        for kind in kinds:
            image = self._instead(kind, at_s)
            if image is not None:
                return kind, image
        return "card", self._card

    def _instead(self, kind: StandIn, at_s: float) -> Image | None:
        """The stand-in's picture if it can be shown; the webcam is asked only when it may be seen."""
        if kind == "webcam":
            return self._fitted(self._webcam_framer, self._scenes.webcam)
        last = self._live.last
        if kind == "freeze" and last is not None:
            return self._fitted(self._freeze_framer, lambda: self._scenes.freeze(last, at_s))
        return self._card if kind == "card" else None

    def _change(self, who: Who, showing: Showing, at_s: float) -> None:
        """Begin a dissolve, or end one, when something else is shown than before."""
        if who != self._shown_who:
            self._leaving = None
        elif showing != self.showing and self._shown is not None:
            self._leaving = (self._shown, at_s)
            self.losses += self.showing == "double"
        self._shown_who = who
        self.showing = showing

    def _dissolved(self, image: Image, at_s: float) -> Image:
        if self._leaving is None:
            return image
        before, since_s = self._leaving
        share = (at_s - since_s) / DISSOLVE_S
        if share >= 1:
            self._leaving = None
            return image
        share = max(0.0, share)
        return dissolve(before, image, share * share * (3 - 2 * share))

    def _fitted(self, framer: Framer, source: Callable[[], Image | None]) -> Image | None:
        return self._ask(lambda: None if (image := source()) is None else framer.fit(image))

    def _ask(self, question: Callable[[], T]) -> T | None:
        """The answer, or None when there is an error; each kind of error is logged once."""
        try:
            return question()
        except Exception as error:
            self.failures += 1
            kind = type(error).__name__
            if kind not in self._errors:
                self._errors.add(kind)
                logger.error("scene_failed", extra={"error": kind})
            return None


class _LiveWatch:
    """Whether the double's pictures keep coming."""

    def __init__(self) -> None:
        self.last: Image | None = None
        self.on = False
        self._new_s = self._steady_since_s = float("-inf")

    def see(self, image: Image | None, at_s: float, *, connected: bool) -> None:
        """Take what there is at `at_s`; the same object again, or None, is no new picture."""
        if image is not None and image is not self.last:
            self.last = image
            if at_s - self._new_s > GAP_S:
                self._steady_since_s = at_s
            self._new_s = at_s
        if not connected:
            self.on = False
            self._steady_since_s = at_s
        elif self.on:
            self.on = at_s - self._new_s <= LOST_S
        else:
            self.on = at_s - self._new_s <= GAP_S and at_s - self._steady_since_s >= STEADY_S
