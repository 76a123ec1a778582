"""A face that is several: the first that is well is shown."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

from models.chain.chain import Chain
from models.chain.fitting import fitted
from models.chain.members import Member, Members
from models.chain.pull import Pull
from models.chain.rest_of_speech import RestOfSpeech
from models.errors import EngineFailed
from models.interfaces import Counted, Face, Picture, Speech


class FaceChain(Chain[Face]):
    """Face of the size of the first member that could be made; pictures of others are fitted into it.

    When a face fails amid an answer the next one goes on with the beat that is due, so that there is a picture for each
    beat of sound.
    """

    def __init__(self, members: Sequence[Member[Face]], *, patience_s: float) -> None:
        super().__init__(Members("face", members, patience_s=patience_s, trial=_trial))
        first = self._members.made[0].made()
        self._width_px, self._height_px = first.width_px, first.height_px

    @property
    def width_px(self) -> int:
        return self._width_px

    @property
    def height_px(self) -> int:
        return self._height_px

    async def idle(self, position: int) -> Picture:
        """The silent face at `position`, by the first member that draws it. Raises EngineFailed."""
        for member, patience_s in self._members.candidates():
            drawing = asyncio.ensure_future(member.made().idle(position))
            try:
                await asyncio.wait((drawing,), timeout=patience_s)
            finally:
                if not drawing.done():
                    drawing.cancel()
                    self._members.leave(drawing)
            try:
                if not drawing.done():
                    raise TimeoutError
                picture = self._fitted(drawing.result())
            except Exception as error:
                self._members.failed(member, error)
                if patience_s is None:
                    raise self._members.told(error) from None
            else:
                self._members.succeeded(member, whole=False)
                return picture
        raise EngineFailed("No face can be drawn.")

    async def speak(self, speech: AsyncIterator[Speech], position: Callable[[], int]) -> AsyncGenerator[Picture, None]:
        """Yield a picture per beat; patience counts only while a face has the sound that it needs."""
        rest = RestOfSpeech(speech)
        try:
            for member, patience_s in self._members.candidates():
                given = False
                pull = Pull(member.made().speak(rest.remaining(), position), name=f"face {member.name}")
                try:
                    while (drawn := await pull.next(patience_s, since_s=rest.there_since_s)) is not None:
                        picture = self._fitted(drawn[0])
                        if not given:
                            given = True
                            self._members.succeeded(member, whole=False)
                        rest.drawn()
                        yield picture
                    if given:
                        self._members.succeeded(member, whole=True)
                    return
                except Exception as error:
                    if error is rest.error:
                        raise
                    self._members.failed(member, error, amid=given)
                    pull.abandon()
                    self._members.leave(pull.task)
                    if rest.complete:
                        return
                    if patience_s is None:
                        raise self._members.told(error) from None
                finally:
                    if not pull.task.cancelling():
                        self._members.leave(pull.task)
                        await pull.aclose()
        finally:
            await rest.aclose()

    def counters(self) -> Mapping[str, tuple[str, Callable[[], int]]]:
        """Those of the members that count."""
        counted = [engine for engine in self.engines if isinstance(engine, Counted)]
        return {name: counter for engine in counted for name, counter in engine.counters().items()}

    def _fitted(self, picture: Picture) -> Picture:
        return fitted(picture, self._width_px, self._height_px)


async def _trial(face: Face) -> None:
    await face.idle(0)
