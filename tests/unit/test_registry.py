import re
from importlib import import_module
from typing import get_args

import pytest

from models.asr.scripted import ScriptedRecognizer
from models.errors import EngineUnavailable
from models.llm.scripted import ScriptedModel
from models.registry import ENGINES, Kind, create
from models.settings import AsrSettings, EngineSettings, LlmSettings, TurnSettings, VadSettings
from models.turn.always import AlwaysDone
from models.vad.energy import EnergyVad

KINDS: tuple[Kind, ...] = get_args(Kind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_engine_of_the_settings_can_be_chosen_and_no_other(kind: Kind) -> None:
    section = EngineSettings.model_fields[kind].annotation
    assert section is not None
    assert set(ENGINES[kind]) == set(get_args(section.model_fields["engine"].annotation))


def test_the_fakes_need_neither_weights_nor_packages() -> None:
    settings = EngineSettings(
        vad=VadSettings(engine="energy"),
        turn=TurnSettings(engine="always"),
        asr=AsrSettings(engine="scripted"),
        llm=LlmSettings(engine="scripted"),
    )
    assert isinstance(create("vad", settings), EnergyVad)
    assert isinstance(create("turn", settings), AlwaysDone)
    assert isinstance(create("asr", settings), ScriptedRecognizer)
    assert isinstance(create("llm", settings), ScriptedModel)


def test_a_missing_package_is_named_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES["vad"], "silero", "package_that_nobody_has.vad:create")
    with pytest.raises(EngineUnavailable) as caught:
        create("vad", EngineSettings())
    assert re.fullmatch(r"The vad engine silero needs .* package_that_nobody_has; .*\.", str(caught.value))


def test_choosing_engines_imports_none_of_them() -> None:
    source = import_module("models.registry").__dict__
    assert not {"onnxruntime", "faster_whisper", "llama_cpp", "skia"} & set(source)
