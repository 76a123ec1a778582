"""The conversation's memory: what no longer fits the context is condensed into a few sentences by the model itself.

    History.aged ─► the conversation up to there, and REQUEST ─► LanguageModel ─► History.condense

The model is asked as if the conversation went on, because that far its cache holds it already: on two cores the first
word comes after 3.6 s instead of 17 s for a prompt of its own, and the notes are as good.
"""

import re
from contextlib import aclosing

from models.interfaces import LanguageModel
from peer_remote.history import History
from peer_remote.spoken import spoken

CALM_S = 3.0
"""Nobody has said or asked anything for so long: the model is free for a while."""
SUMMARY_TOKENS = 200
MOST_CHARACTERS = 900
FEWEST_WORDS = 4
REQUEST = (
    "(Nobody hears this. Before you go on, write down in at most sixty words, in the third person and in the language "
    "of this conversation, what should be remembered of it, also of what was said earlier: who the others are, facts, "
    "plans and promises. No greeting.)"
)


async def condense(llm: LanguageModel, history: History) -> str | None:
    """Let the oldest exchanges of `history` become part of its summary; returns the new one.

    None when there is nothing to condense, or what the model wrote says nothing; `history` is unchanged then, and also
    when this is cancelled. Raises ModelError.
    """
    aged = history.aged()
    if not aged:
        return None
    written = ""
    messages = history.messages_of(aged, then=REQUEST)
    async with aclosing(llm.stream(messages, max_tokens=SUMMARY_TOKENS)) as pieces:
        async for piece in pieces:
            written += piece
    summary = _tidy(written)
    if len(summary.split()) < FEWEST_WORDS:
        return None
    history.condense(aged, summary)
    return summary


def _tidy(written: str) -> str:
    """One line of whole sentences, without marks, of at most MOST_CHARACTERS."""
    text = " ".join(spoken(written).split()).strip("() ")
    whole = re.match(rf"(?s).{{0,{MOST_CHARACTERS - 1}}}[.!?…]", text)
    return whole.group() if whole else text[:MOST_CHARACTERS]
