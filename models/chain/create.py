"""Making a chain from the settings: the first member that can be made now, the others in the background."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from models import registry
from models.chain.breaker import Breaker
from models.chain.face import FaceChain
from models.chain.language_model import LanguageModelChain
from models.chain.members import Kind, Member
from models.chain.voice import VoiceChain
from models.errors import ModelError
from models.face.choice import best_face, sees_gpu
from models.settings import ChainSettings, EngineSettings, FaceSettings

logger = logging.getLogger(__name__)

FAILURES = {"llm": 2, "tts": 1, "face": 1}
"""In a row, before an engine is left alone for a while. A language model refuses a request that does not suit it, too;
a voice or a face that comes and goes is worse than another one that stays."""


def create(kind: Kind, settings: EngineSettings) -> LanguageModelChain | VoiceChain | FaceChain:
    """The chain of `kind`; blocks until its first member is made. Raises what that raised when none can be made."""
    section: Any = getattr(settings, kind)
    sections = [section.model_copy(update={"fallbacks": ()}), *section.fallbacks]
    makers = [partial(_made, kind, settings, one) for one in sections]
    members: list[Member[Any]] = [
        Member(name, partial(maker, wait=False), breaker=Breaker(failures=FAILURES[kind]))
        for name, maker in zip(_names([_name(one) for one in sections]), makers, strict=True)
    ]
    _make_one(kind, members, makers)
    if kind == "llm":
        return LanguageModelChain(members, patience_s=section.patience_s)
    return (VoiceChain if kind == "tts" else FaceChain)(members, patience_s=section.patience_s)


def _make_one(kind: Kind, members: Sequence[Member[Any]], makers: Sequence[Callable[..., Any]]) -> None:
    """Make the first member that can be made; when none can, wait for the first one as long as its settings say."""
    for member in members:
        try:
            member.engine = member.make()
            return
        except ModelError as error:
            member.reason = "unavailable"
            logger.warning("engine_unavailable", extra={"kind": kind, "engine": member.name, "reason": str(error)})
    members[0].engine = makers[0](wait=True)


def _made(kind: Kind, settings: EngineSettings, section: ChainSettings, *, wait: bool) -> Any:
    return registry.create(kind, settings.model_copy(update={kind: section if wait else _without_wait(section)}))


def _without_wait(section: ChainSettings) -> ChainSettings:
    """A start that has somebody else to go on with does not wait for a server."""
    changes: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if name == "start_wait_s":
            changes[name] = 0.0
        elif name == "fish_speech":
            changes[name] = value.model_copy(update={"start_wait_s": 0.0})
    return section.model_copy(update=changes)


def _name(section: Any) -> str:
    """What is meant by a section whose engine is chosen by what is there."""
    if isinstance(section, FaceSettings) and section.engine == "auto":
        return best_face(section, gpu=sees_gpu())
    return str(section.engine)


def _names(engines: Sequence[str]) -> list[str]:
    """Each engine's own name; the second of a kind has a number."""
    seen: Counter[str] = Counter()
    names = []
    for engine in engines:
        seen[engine] += 1
        names.append(engine if seen[engine] == 1 else f"{engine}-{seen[engine]}")
    return names
