"""What the double says when an answer breaks off."""

import asyncio
import logging

from models.errors import ModelError
from peer_remote.stage import Stage
from peer_remote.turn import Cast, Turn

logger = logging.getLogger(__name__)

LONGEST_S = 8.0
"""How long each beat of the line may take to come onto the stage, longer than the answer is held: an engine that hangs
must not hold the conversation up twice."""


async def own_up(turn: Turn, cast: Cast, stage: Stage, line: str) -> None:
    """Say `line` after what there is of `turn`'s answer; when that fails as well, stay silent."""
    try:
        async with asyncio.timeout(LONGEST_S) as limit:
            now_s = asyncio.get_running_loop().time
            await turn.perform(cast, stage, line, max_tokens=1, queued=lambda: limit.reschedule(now_s() + LONGEST_S))
    except (ModelError, TimeoutError) as error:
        logger.warning("trouble_not_said", extra={"turn": turn.id, "error": type(error).__name__})
    except Exception:
        logger.exception("trouble_not_said", extra={"turn": turn.id})
