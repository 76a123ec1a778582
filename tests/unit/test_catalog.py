from pathlib import Path

import pytest

from models.asr.choice import CPU_MODEL, GPU_MODEL
from models.errors import WeightsError
from models.settings import EngineSettings
from models.weights import Catalog
from models.weights.catalog import PackageSource
from tests.unit.weight_sources import catalog_of, hub_source, package_source, weight_file


def test_the_shipped_catalog_is_valid_and_has_the_default_engines_models() -> None:
    catalog = Catalog.read()
    settings = EngineSettings()
    embedded = catalog.select(["embedded"])
    assert {settings.llm.model, CPU_MODEL, "kokoro-82m", "smart-turn-v3.2"} <= set(embedded)
    assert GPU_MODEL in catalog.select(["gpu"])
    voices = {file.name for file in catalog.models["kokoro-82m"].files}
    assert f"voices/{settings.tts.voice}.bin" in voices


def test_everything_that_runs_without_a_gpu_is_pinned_and_has_a_package_mirror() -> None:
    catalog = Catalog.read()
    for name in catalog.select(["embedded", "tests", "whisper-tiny.en"]):
        for file in catalog.models[name].files:
            assert file.sha256 is not None, f"{name}/{file.name}"
            assert any(isinstance(source, PackageSource) for source in file.sources), f"{name}/{file.name}"


def test_restricted_licences_say_so() -> None:
    catalog = Catalog.read()
    assert "Non-commercial" in catalog.models["openaudio-s1-mini"].note
    assert catalog.models["openaudio-s1-mini"].gated


def test_groups_and_models_are_chosen_once_each_in_order() -> None:
    catalog = catalog_of(
        one=[weight_file("a", b"a", hub_source("a"))],
        two=[weight_file("b", b"b", hub_source("b"))],
    )
    assert catalog.select(["two", "all", "one"]) == ("two", "one")


def test_a_misspelt_model_gets_the_nearest_name() -> None:
    with pytest.raises(
        WeightsError, match=r"whisper-bse is neither a model nor a group .* did you mean whisper-base\?"
    ):
        Catalog.read().select(["whisper-bse"])


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        (weight_file("../escape", b"x", hub_source("x")), "inside its model's directory"),
        (weight_file("/etc/x", b"x", hub_source("x")), "inside its model's directory"),
        (weight_file("x", None, package_source(("p", "m"))), "only a hub"),
        (weight_file("x", b"x", hub_source("x")) | {"sha256": None}, "come together"),
        (weight_file("x", b"x"), "sources"),
        (weight_file("x", b"x", {"kind": "ftp", "url": "ftp://x"}), "sources"),
        (weight_file("x", b"x", {"kind": "url", "url": "http://plain"}), "url"),
    ],
)
def test_a_wrong_entry_is_refused(file: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        catalog_of(model=[file])


def test_a_catalog_that_is_not_toml_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text("groups = {")
    with pytest.raises(WeightsError, match=r"^The catalog catalog.toml cannot be read: .*\.$"):
        Catalog.read(path)


def test_a_group_that_names_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text('[groups]\nall = ["ghost"]\n[models]\n')
    with pytest.raises(WeightsError, match="group all names ghost, which is not a model"):
        Catalog.read(path)
