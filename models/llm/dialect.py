"""What a server understands of a chat completion's request, and how to say it. Pure.

Every server takes OpenAI's own fields; those that run a model take llama.cpp's samplers beside them, and services
refuse what they do not know. A refusal teaches the next request.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.interfaces import Message
from models.llm.chat import alternating, without_system
from models.llm.sampling import Sampling


@dataclass(frozen=True, slots=True)
class Dialect:
    system_role: bool | None = None
    """None is unknown, and taken for yes."""
    extended: bool = True
    """Takes samplers that OpenAI's API does not have."""
    limit: str = "max_tokens"
    """The field for the longest answer; OpenAI's newer models know it as max_completion_tokens only."""

    def adapted(self, status: int, reason: str) -> "Dialect | None":
        """What to try after a refusal; None when speaking otherwise would not help."""
        if self.system_role is None and blames_system_role(reason):
            return replace(self, system_role=False)
        if status not in (400, 422):
            return None
        if self.limit == "max_tokens" and "max_completion_tokens" in reason:
            return replace(self, limit="max_completion_tokens", extended=False)
        return replace(self, extended=False) if self.extended else None

    def request(
        self, model: str, messages: Sequence[Message], *, max_tokens: int, sampling: Sampling, stream: bool = True
    ) -> dict[str, Any]:
        """The body of a request. Roles alternate in it."""
        told = alternating(without_system(messages) if self.system_role is False else messages)
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": message.role, "content": message.content} for message in told],
            self.limit: max_tokens,
            "stream": stream,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        }
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if self.extended:
            body |= {
                "top_k": sampling.top_k,
                "min_p": sampling.min_p,
                "repeat_penalty": sampling.repeat_penalty,
                "repetition_penalty": sampling.repeat_penalty,  # vLLM's name
                "cache_prompt": True,  # llama-server: keep what is common with the last prompt
            }
        return body


def blames_system_role(reason: str) -> bool:
    return "system role" in reason.lower()
