"""Adapters and sampling of the engine in this process, with a tiny Gemma 2 of random weights: no download is needed."""

from contextlib import aclosing
from pathlib import Path

import pytest

from models.errors import EngineUnavailable
from models.interfaces import Message
from models.llm.llama_cpp import LlamaCppModel
from models.llm.sampling import Sampling
from tests.small_gemma import write_adapter, write_model

SYSTEM = Message("system", "You are Olena.")
HELLO = Message("user", "Hello!")
GREEDY = Sampling(temperature=0)
WANDERING = Sampling(temperature=0, repeat_penalty=2)
"""This model alone says one syllable again and again."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gemma")
    write_model(folder / "model.gguf")
    write_adapter(folder / "adapter.gguf")
    return folder


async def said(folder: Path, *messages: Message, sampling: Sampling = GREEDY, lora: Path | None = None) -> str:
    model = LlamaCppModel(folder / "model.gguf", context_tokens=512, threads=2, sampling=sampling, lora=lora)
    try:
        async with aclosing(model.stream(list(messages) or [SYSTEM, HELLO], max_tokens=12)) as pieces:
            return "".join([piece async for piece in pieces])
    finally:
        await model.aclose()


async def test_a_model_without_system_role_gets_the_persona_in_the_first_user_turn(folder: Path) -> None:
    together = Message("user", "You are Olena.\n\nHello!")
    assert await said(folder, SYSTEM, HELLO, sampling=WANDERING) == await said(folder, together, sampling=WANDERING)


async def test_an_adapter_changes_what_is_said(folder: Path) -> None:
    assert await said(folder, lora=folder / "adapter.gguf") != await said(folder)


@pytest.mark.parametrize("name", ["nowhere.gguf", "model.gguf"])
async def test_what_is_no_adapter_is_one_sentence(folder: Path, name: str) -> None:
    with pytest.raises(EngineUnavailable, match=f"cannot load {name} as an adapter"):
        await said(folder, lora=folder / name)


async def test_a_penalty_keeps_the_model_from_repeating_itself(folder: Path) -> None:
    repeated, wandering = [await said(folder, sampling=sampling) for sampling in (GREEDY, WANDERING)]
    assert len(set(wandering.split())) > len(set(repeated.split()))


async def test_an_answer_ends_before_a_stop_string(folder: Path) -> None:
    whole = await said(folder, sampling=WANDERING)
    syllables = whole.split()
    stop = f"{syllables[3]} {syllables[4]}"
    expected = whole[: whole.index(stop)]
    assert await said(folder, sampling=Sampling(temperature=0, repeat_penalty=2, stop=(stop,))) == expected


async def test_the_likeliest_word_alone_leaves_nothing_to_chance(folder: Path) -> None:
    assert await said(folder, sampling=Sampling(temperature=1.5, top_k=1)) == await said(folder)
