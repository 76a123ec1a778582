"""What the language model is given: the conversation, and passages of the notes that fit its last line."""

import logging

from models.interfaces import Message
from peer_remote.history import History
from peer_remote.notes import Notes, Passage

logger = logging.getLogger(__name__)


class Prompt:
    """Joins `history` and `notes`; the history itself never has the passages, so that each is read for one answer."""

    def __init__(self, history: History, notes: Notes | None = None) -> None:
        self._history = history
        self._notes = notes

    def messages(self, then: str | None = None) -> list[Message]:
        """The conversation with the persona first; `then` is what the user is about to say."""
        return self._with_notes(self._history.messages(then))[0]

    def answered(self) -> list[Message]:
        """The conversation that is answered now; the log names the files of the passages that it shows."""
        messages, passages = self._with_notes(self._history.messages())
        if passages:
            logger.info("notes_cited", extra={"files": sorted({passage.file for passage in passages})})
        return messages

    def _with_notes(self, messages: list[Message]) -> tuple[list[Message], list[Passage]]:
        if self._notes is None or not messages or messages[-1].role != "user":
            return messages, []
        line = messages[-1].content
        passages = self._notes.find(line)
        if not passages:
            return messages, []
        shown = "\n".join(f"- {passage.text}" for passage in passages)
        return [*messages[:-1], Message("user", f"(from your notes:\n{shown})\n{line}")], passages
