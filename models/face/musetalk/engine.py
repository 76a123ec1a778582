"""One GPU for many faces: sessions order pictures, one thread draws them in batches, another one delivers them.

    session.order ─► OrderQueue ─► GPU thread ─────────► delivery thread ─────────► future
                     earliest      place, encode, draw   wait, paste into the frame
                     deadline

A session that is interrupted calls `cancel`: what it ordered before is dropped on arrival, whatever state it is in.
Budget: the GPU thread holds the GIL for under 2 ms a batch. Late pictures are counted by whoever waits for them;
`counts` tells what this engine did.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import EngineFailed
from models.face.avatar.pack import AvatarPack
from models.face.musetalk.compositor import with_region
from models.face.musetalk.orders import Mouth, Order, OrderQueue, Sound, bucket_for
from models.face.musetalk.renderer import Drawing, Region, Renderer

logger = logging.getLogger(__name__)

Pictures = list[NDArray[np.uint8]]
"""I420 frames uint8 [H * 3 // 2, W]."""

BATCHES_IN_FLIGHT = 2
"""The next batch is launched while the last one is copied and pasted."""
MOST_WAITING = 8
"""Orders of one session: far more than a face has in the making."""
CALM_S = 0.5
"""So long without an order before a compiled network is swapped in, which holds the GPU thread for some 100 ms."""
JOIN_TIMEOUT_S = 10.0

Upgrade = Callable[[Renderer], None]


@dataclass(slots=True)
class Counts:
    """What the engine did since its start."""

    pictures: int = 0
    batches: int = 0
    dropped_orders: int = 0
    """Cancelled before or while they were drawn."""
    failed_batches: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    orders: Sequence[Order["Future[Pictures]"]]
    bucket: int
    drawing: Drawing
    begun_s: float


class MuseTalkEngine:
    """Owns the GPU thread and the delivery thread. `make` builds the renderer on the GPU thread.

    Raises what `make` raises. After `close` every order fails with EngineFailed.
    """

    def __init__(
        self, make: Callable[[], Renderer], *, max_sessions: int = 1, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.counts = Counts()
        self._now = now
        self._orders: OrderQueue[Future[Pictures]] = OrderQueue()
        self._jobs: list[tuple[Callable[[Renderer], None], Future[None]]] = []
        self._upgrades: list[Upgrade] = []
        self._packs: dict[int, AvatarPack] = {}
        self._epochs: dict[int, int] = {}
        self._free = list(range(max_sessions))
        self._cost_s: dict[int, float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._launched: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._flights = threading.Semaphore(BATCHES_IN_FLIGHT)
        made: Future[None] = Future()
        self._gpu = threading.Thread(target=self._work, args=(make, made), name="face-musetalk", daemon=True)
        self._delivery = threading.Thread(target=self._deliver, name="face-musetalk-delivery", daemon=True)
        self._gpu.start()
        self._delivery.start()
        try:
            made.result()
        except BaseException:
            self.close()
            raise

    def open(self, pack: AvatarPack) -> "EngineSession":
        """Show one more avatar; blocks for about a second. Raises EngineFailed when all sessions are taken."""
        with self._changed:
            if not self._free:
                raise EngineFailed("The face engine has no session left; close another one first.")
            session = self._free.pop(0)
            self._packs[session] = pack
            self._epochs.setdefault(session, 0)
            twin = next((other for other in self._packs if other != session and self._packs[other] is pack), None)
        try:
            self._run(lambda renderer: renderer.add(session, pack) if twin is None else renderer.share(session, twin))
        except BaseException:
            self._give_back(session)
            raise
        return EngineSession(self, session, pack)

    def upgrade(self, change: Upgrade) -> None:
        """Run `change` on the GPU thread at the next calm moment."""
        with self._changed:
            self._upgrades.append(change)
            self._changed.notify_all()

    def close(self) -> None:
        """Fail what waits, finish what is being drawn, end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in (self._gpu, self._delivery):
            thread.join(JOIN_TIMEOUT_S)

    def put(self, order: "Order[Future[Pictures]]") -> None:
        """Queue `order`. Raises EngineFailed when MOST_WAITING of its session wait: the device does not answer."""
        with self._changed:
            self._require_open()
            if self._orders.waiting(order.session) >= MOST_WAITING:
                raise EngineFailed("The face engine is too slow; orders of this session are waiting.")
            self._orders.put(order, self._now())
            self._changed.notify_all()

    def epoch(self, session: int) -> int:
        return self._epochs[session]

    def cancel(self, session: int) -> None:
        """Drop everything that `session` has ordered so far."""
        with self._changed:
            self._epochs[session] += 1
            gone = self._orders.discard(session)
        self._drop(gone)

    def release(self, session: int) -> None:
        """Does not wait for the device, which may be why the face is closed."""
        self.cancel(session)
        with self._changed:
            if not self._closed:
                self._jobs.append((lambda renderer: renderer.remove(session), Future()))
                self._changed.notify_all()
        self._give_back(session)

    def _give_back(self, session: int) -> None:
        with self._changed:
            del self._packs[session]
            self._free.append(session)

    def _run(self, job: Callable[[Renderer], None]) -> None:
        """Let the GPU thread do `job` between two batches, and wait for it."""
        done: Future[None] = Future()
        with self._changed:
            self._require_open()
            self._jobs.append((job, done))
            self._changed.notify_all()
        done.result()

    def _require_open(self) -> None:
        if self._closed:
            raise EngineFailed("The face engine is closed; create a new one to go on drawing.")

    def _drop(self, orders: Sequence["Order[Future[Pictures]]"]) -> None:
        self.counts.dropped_orders += len(orders)
        for order in orders:
            order.ticket.cancel()

    def _work(self, make: Callable[[], Renderer], made: "Future[None]") -> None:
        """The GPU thread."""
        try:
            renderer = make()
        except BaseException as error:
            made.set_exception(error)
            self._launched.put(None)
            return
        self._orders.buckets = renderer.buckets
        made.set_result(None)
        try:
            while self._step(renderer):
                pass
        finally:
            self._launched.put(None)

    def _step(self, renderer: Renderer) -> bool:
        """Wait for something to do and do it; false when the engine was closed."""
        upgrade: Upgrade | None = None
        batch: list[Order[Future[Pictures]]] = []
        with self._changed:
            while not self._jobs and not self._closed:
                wait_s = self._orders.ready_in_s(self._now())
                if wait_s == 0:
                    break
                if not self._changed.wait(wait_s if wait_s is not None else CALM_S) and wait_s is None:
                    if self._upgrades:
                        upgrade = self._upgrades.pop(0)
                        break
            jobs, self._jobs = self._jobs, []
            if self._closed:
                closed = EngineFailed("The face engine was closed.")
                for order in self._orders.take_all():
                    if order.ticket.set_running_or_notify_cancel():
                        order.ticket.set_exception(closed)
                for _, done in jobs:
                    done.set_exception(closed)
                return False
        for job, done in jobs:
            _settle(done, lambda job=job: job(renderer))  # type: ignore[misc]
        if upgrade is not None:
            self._improve(renderer, upgrade)
        elif not jobs:
            self._flights.acquire()
            with self._changed:
                batch = self._orders.take(self._now(), self._cost_s)
            if not self._launch(renderer, batch):
                self._flights.release()
        return True

    def _improve(self, renderer: Renderer, upgrade: Upgrade) -> None:
        try:
            upgrade(renderer)
        except Exception:
            logger.exception("face_upgrade_failed")

    def _launch(self, renderer: Renderer, orders: Sequence["Order[Future[Pictures]]"]) -> bool:
        """Start drawing `orders`; false when nothing was started."""
        stale = [order for order in orders if order.epoch != self._epochs[order.session]]
        self._drop(stale)
        orders = [order for order in orders if order not in stale]
        if not orders:
            return False
        begun_s = self._now()
        try:
            heard: dict[int, tuple[int, int, float]] = {}
            for order in orders:
                renderer.place(order.session, order.sounds)
                heard[order.session] = (order.session, order.heard_samples, order.peak)
            renderer.encode(list(heard.values()))
            mouths = [(order.session, mouth) for order in orders for mouth in order.mouths]
            drawing = renderer.draw(mouths, orders[0].region)
        except Exception as error:
            self._fail(orders, error)
            return False
        self._launched.put(_Batch(orders, bucket_for(len(mouths), renderer.buckets), drawing, begun_s))
        return True

    def _deliver(self) -> None:
        """The delivery thread."""
        free_s = 0.0
        while (batch := self._launched.get()) is not None:
            try:
                regions = batch.drawing.wait()
                ended_s = self._now()
                took_s = ended_s - max(batch.begun_s, free_s)
                before_s = self._cost_s.get(batch.bucket, took_s)
                self._cost_s[batch.bucket] = before_s + 0.2 * (took_s - before_s)
                free_s = ended_s
                self._hand_out(batch.orders, regions)
                self.counts.batches += 1
            except Exception as error:
                self._fail(batch.orders, error)
            finally:
                self._flights.release()

    def _hand_out(self, orders: Sequence["Order[Future[Pictures]]"], regions: NDArray[np.uint8]) -> None:
        start = 0
        for order in orders:
            own = regions[start : start + len(order.mouths)]
            start += len(order.mouths)
            if order.epoch != self._epochs[order.session] or not order.ticket.set_running_or_notify_cancel():
                self._drop([order])
                continue
            pack = self._packs[order.session]
            pictures = [with_region(pack, mouth.frame, region) for mouth, region in zip(order.mouths, own, strict=True)]
            self.counts.pictures += len(pictures)
            order.ticket.set_result(pictures)

    def _fail(self, orders: Sequence["Order[Future[Pictures]]"], error: Exception) -> None:
        self.counts.failed_batches += 1
        if self.counts.failed_batches == 1:
            logger.error("face_batch_failed", exc_info=error)
        for order in orders:
            if not order.ticket.done() and not order.ticket.cancelled():
                order.ticket.set_exception(EngineFailed("The face could not be drawn; the log says why."))


class EngineSession:
    """One avatar's place in the engine. Not for more than one thread."""

    def __init__(self, engine: MuseTalkEngine, session: int, pack: AvatarPack) -> None:
        self._engine = engine
        self._session = session
        self.pack = pack
        self._region: Region = (pack.roi_height_px, pack.roi_width_px)

    def order(
        self, mouths: Sequence[Mouth], sounds: Sequence[Sound], *, heard_samples: int, peak: float, deadline_s: float
    ) -> "Future[Pictures]":
        """Have `mouths` drawn once `sounds` are in the feature window; the future is cancelled by `cancel`."""
        ticket: Future[Pictures] = Future()
        epoch = self._engine.epoch(self._session)
        order = Order(self._session, epoch, self._region, mouths, sounds, heard_samples, peak, deadline_s, ticket)
        self._engine.put(order)
        return ticket

    def cancel(self) -> None:
        """Drop everything that was ordered so far. The next order has to restart the feature window."""
        self._engine.cancel(self._session)

    def close(self) -> None:
        self._engine.release(self._session)


def _settle(future: "Future[None]", job: Callable[[], None]) -> None:
    try:
        job()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(None)
