import pytest

from models.asr.choice import CPU_MODEL, GPU_MODEL, Choice, choices
from models.errors import EngineUnavailable
from models.settings import AsrSettings


def test_without_a_gpu_the_small_model_runs_on_the_cpu() -> None:
    (choice,) = choices(AsrSettings(), gpus=0)
    assert choice == Choice(CPU_MODEL, "cpu")
    assert choice.compute_type == "int8"


def test_with_a_gpu_the_large_model_comes_first_and_the_cpu_last() -> None:
    best, *rest = choices(AsrSettings(), gpus=1)
    assert best == Choice(GPU_MODEL, "cuda")
    assert best.compute_type == "int8_float16"
    assert rest == [Choice(CPU_MODEL, "cuda"), Choice(CPU_MODEL, "cpu")]


def test_what_is_named_is_taken() -> None:
    assert choices(AsrSettings(device="cpu", model="whisper-tiny.en"), gpus=2) == [Choice("whisper-tiny.en", "cpu")]
    assert choices(AsrSettings(device="cuda", model=GPU_MODEL), gpus=1) == [Choice(GPU_MODEL, "cuda")]


def test_a_gpu_that_is_not_there_is_refused_with_a_sentence() -> None:
    with pytest.raises(EngineUnavailable, match="UNDERSTUDY_ASR__DEVICE"):
        choices(AsrSettings(device="cuda"), gpus=0)
