"""What the double says when an answer breaks off."""

import asyncio
import logging

from models.errors import ModelError
from peer_remote.stage import Stage
from peer_remote.turn import Cast, Turn

logger = logging.getLogger(__name__)

LONGEST_S = 8.0
"""How long it may take to get the line onto the stage: an engine that hangs must not hold the conversation up twice."""


async def own_up(turn: Turn, cast: Cast, stage: Stage, line: str) -> None:
    """Say `line` after what there is of `turn`'s answer; when that fails as well, stay silent."""
    try:
        async with asyncio.timeout(LONGEST_S):
            await turn.perform(cast, stage, line, max_tokens=1)
    except (ModelError, TimeoutError) as error:
        logger.warning("trouble_not_said", extra={"turn": turn.id, "error": type(error).__name__})
    except Exception:
        logger.exception("trouble_not_said", extra={"turn": turn.id})
