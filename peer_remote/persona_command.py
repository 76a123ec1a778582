"""`python -m peer_remote persona me.md`: check a persona's file and show what the model will be told."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from peer_remote.persona import Persona
from peer_remote.persona_file import PersonaError
from peer_remote.settings import Settings
from peer_remote.tokens import conversation_tokens, estimated_tokens
from signaling.settings import SettingsError

LARGE_SHARE = 0.4
"""A persona that takes more of the model's context leaves little for the conversation."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; the exit status is 1 when the file is wrong, 2 when the settings are."""
    parser = argparse.ArgumentParser(
        prog="python -m peer_remote persona",
        description="Check a persona's file and show the prompt that it becomes, with its length.",
        epilog="peer_remote/personas has examples. UNDERSTUDY_PERSONA__FILE=me.md lets the double be that person.",
    )
    parser.add_argument("file", nargs="?", type=Path, help="the persona; without it, the one of the settings")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.load()
        chosen = settings.persona.model_copy(update={"file": options.file}) if options.file else settings.persona
        print(report(chosen.persona(), context_tokens=settings.llm.context_tokens))
    except SettingsError as error:
        print(f"peer_remote: {error}", file=sys.stderr)
        return 2
    except PersonaError as error:
        print(f"peer_remote: {error}", file=sys.stderr)
        return 1
    return 0


def report(persona: Persona, *, context_tokens: int) -> str:
    """The prompt, the examples and how long they are; tokens are estimated."""
    prompt, *lines = persona.messages()
    parts = [prompt.content]
    if lines:
        names = {"user": "somebody", "assistant": persona.name}
        parts.append("\n".join(f"{names.get(line.role, line.role)}: {line.content}" for line in lines))
    if persona.openings:
        parts.append(f"Openings: {'  '.join(persona.openings)}")
    parts.append(f"When an answer breaks off: {persona.trouble_line() or '(nothing)'}")
    whole = conversation_tokens((prompt, *lines))
    parts.append(
        f"Prompt: {len(prompt.content)} characters, about {estimated_tokens(prompt.content)} tokens. "
        f"With {len(lines) // 2} examples: about {whole} of the {context_tokens} tokens of the model's context."
    )
    if whole > LARGE_SHARE * context_tokens:
        parts.append(
            "That leaves little room for the conversation: shorten it, or raise UNDERSTUDY_LLM__CONTEXT_TOKENS."
        )
    return "\n\n".join(parts)
