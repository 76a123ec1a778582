"""A GGUF chat model in this process, by llama-cpp-python, with a cache that follows the conversation."""

import codecs
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from time import perf_counter

from models.errors import EngineFailed, EngineUnavailable
from models.interfaces import Message
from models.llm.chat import MESSAGE_OVERHEAD_TOKENS, TOO_LONG, ChatTemplate, common_length, fit
from models.llm.gguf import Gguf, model_file
from models.llm.sampling import DEFAULT_SAMPLING, Sampling, StopStrings
from models.settings import EngineSettings
from models.worker import Worker

STEP_TARGET_MS = 80
ANSWER_STEP_TOKENS = 32
PREFILL_STEP_TOKENS = 16
"""Smallest steps; smaller ones hardly stop sooner, because on two CPU cores one token alone takes 65 ms."""


class StepSize:
    """How many tokens to evaluate between two looks at the stop flag: as many as take about STEP_TARGET_MS."""

    def __init__(self, smallest: int, largest: int) -> None:
        self._smallest = smallest
        self._largest = largest
        self.tokens = smallest

    def took(self, tokens: int, milliseconds: float) -> None:
        """Learn from a full step; a shorter one says too little."""
        if tokens < self.tokens:
            return
        if milliseconds < STEP_TARGET_MS / 2:
            self.tokens = min(self._largest, self.tokens * 2)
        elif milliseconds > STEP_TARGET_MS:
            self.tokens = max(self._smallest, self.tokens // 2)


class LlamaCppModel:
    """LanguageModel of one conversation: only what differs from the cached tokens is evaluated again."""

    def __init__(
        self,
        path: Path,
        *,
        context_tokens: int,
        threads: int,
        reserved_tokens: int = 0,
        sampling: Sampling = DEFAULT_SAMPLING,
        lora: Path | None = None,
    ) -> None:
        """Load the model file and the adapter `lora`. Raises EngineUnavailable.

        `reserved_tokens` of the context are kept for the answer, by `prefill` as well, so that both cut a long
        conversation at the same place.
        """
        self._reserved_tokens = reserved_tokens
        self._gguf = Gguf(path, context_tokens=context_tokens, threads=threads, lora=lora)
        template = self._gguf.chat_template
        if template is None:
            self._gguf.close()
            raise EngineUnavailable(f"{path.name} has no chat template; choose an instruct model.")
        self._template = ChatTemplate(template, bos=self._gguf.bos, eos=self._gguf.eos)
        self._sampling = sampling
        self._answer_step = StepSize(ANSWER_STEP_TOKENS, self._gguf.batch_tokens)
        self._prefill_step = StepSize(PREFILL_STEP_TOKENS, self._gguf.batch_tokens)
        self._worker = Worker("llm")
        self.evaluated_tokens = 0
        """Tokens that went through the model so far: what the cache did not save."""

    async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[str, None]:
        """Yield the answer to `messages` in pieces of whole characters.

        The oldest exchanges are left out when the context is full. Raises EngineFailed when even the last message does
        not fit.
        """
        steps = partial(self._answer, tuple(messages), max_tokens)
        async with aclosing(self._worker.stream(steps, ahead=0)) as pieces:
            async for piece in pieces:
                if piece:
                    yield piece

    async def prefill(self, messages: Sequence[Message]) -> None:
        """Evaluate what every prompt that begins with `messages` has in common; cancelling keeps the steps done."""
        async with aclosing(self._worker.stream(partial(self._fill, tuple(messages)))) as steps:
            async for _ in steps:
                pass

    async def aclose(self) -> None:
        """Stop the thread, then free the model."""
        await self._worker.aclose()
        self._gguf.close()

    def _answer(self, messages: Sequence[Message], max_tokens: int) -> Generator[str, None, None]:
        gguf = self._gguf
        prompt = gguf.tokenize(self._template.prompt(self._fitted(messages, max_tokens)))
        if len(prompt) + max_tokens > gguf.context_tokens:
            raise EngineFailed(TOO_LONG.format(tokens=gguf.context_tokens))
        yield from self._evaluate(prompt, self._answer_step, keep_last=False)
        gguf.start_sampling(self._sampling)
        stop = StopStrings(self._sampling.stop)
        characters = codecs.getincrementaldecoder("utf-8")("replace")
        for count in range(1, max_tokens + 1):
            token = gguf.sample()
            if gguf.ends_turn(token):
                break
            yield stop.feed(characters.decode(gguf.piece(token)))
            if stop.reached:
                return
            if count < max_tokens:
                gguf.decode([token])
                self.evaluated_tokens += 1
        yield stop.feed(characters.decode(b"", final=True)) + stop.rest()

    def _fill(self, messages: Sequence[Message]) -> Generator[str, None, None]:
        tokens = self._gguf.tokenize(self._template.prefix(self._fitted(messages, 0)))
        yield from self._evaluate(tokens[: self._gguf.context_tokens], self._prefill_step, keep_last=True)

    def _evaluate(self, tokens: list[int], step: StepSize, *, keep_last: bool) -> Generator[str, None, None]:
        """Bring `tokens` into the cache; without `keep_last` the last one is evaluated anew, for its logits."""
        gguf = self._gguf
        known = common_length(gguf.cached, tokens)
        if not keep_last:
            known = min(known, len(tokens) - 1)
        if known == len(tokens):
            return
        gguf.keep(known)
        while (start := len(gguf.cached)) < len(tokens):
            yield ""
            chunk = tokens[start : start + step.tokens]
            before = perf_counter()
            gguf.decode(chunk)
            step.took(len(chunk), (perf_counter() - before) * 1_000)
            self.evaluated_tokens += len(chunk)

    def _fitted(self, messages: Sequence[Message], max_tokens: int) -> list[Message]:
        plain = [Message(message.role, self._gguf.plain(message.content)) for message in messages]
        budget = self._gguf.context_tokens - max(max_tokens, self._reserved_tokens) - MESSAGE_OVERHEAD_TOKENS
        return fit(plain, budget_tokens=budget, count=self._message_tokens)

    def _message_tokens(self, message: Message) -> int:
        return len(self._gguf.tokenize(message.content)) + MESSAGE_OVERHEAD_TOKENS


def create(settings: EngineSettings) -> LlamaCppModel:
    """The model that `settings.llm` names. Raises WeightsMissing and EngineUnavailable."""
    llm = settings.llm
    return LlamaCppModel(
        model_file(llm.model, settings.weights.dir),
        context_tokens=llm.context_tokens,
        threads=llm.threads,
        reserved_tokens=llm.max_answer_tokens,
        sampling=Sampling.of(llm),
        lora=llm.lora,
    )
