"""How many tokens a text takes, near enough without a model: it is asked on every turn."""

from collections.abc import Iterable

from models.interfaces import Message

_LATIN_CHARACTERS_PER_TOKEN = 3.5
_OTHER_CHARACTERS_PER_TOKEN = 1.6
"""Qwen 2.5's tokenizer packs 4.1 characters of English prose into a token and 1.9 of Ukrainian with its spaces. Smaller
figures, so that the estimate is rather too high than too low."""
_MESSAGE_TOKENS = 6
"""What a chat template puts around one message."""


def estimated_tokens(text: str) -> int:
    """Tokens of `text`, rather too many than too few."""
    latin = sum(character.isascii() for character in text)
    return round(latin / _LATIN_CHARACTERS_PER_TOKEN + (len(text) - latin) / _OTHER_CHARACTERS_PER_TOKEN + 0.5)


def conversation_tokens(messages: Iterable[Message]) -> int:
    """Tokens of a whole prompt."""
    return sum(estimated_tokens(message.content) + _MESSAGE_TOKENS for message in messages)
