"""What fits on which GPUs, and what is refused."""

import wave
from pathlib import Path
from typing import Any

import pytest

from models.settings import FishSpeechSettings
from models.weights import Catalog
from peer_remote.services.budget import CARDS, Plan, Refusal, plan
from peer_remote.services.command import placed
from peer_remote.services.errors import ServicesError
from peer_remote.services.gpus import Gpu, parse
from peer_remote.services.local import needed, wanted_services
from peer_remote.services.needs import Need, llm_need, voice_need
from peer_remote.services.settings import MachineSettings, ServicesSettings

WHOLE: dict[str, Any] = {
    "llm": {"engine": "openai", "key": "language"},
    "tts": {"engine": "fish_speech", "fish_speech": {"key": "voice", "reference": "me"}},
    "face": {"avatar": "/me"},
}
"""MamayLM, a cloned voice, MuseTalk and Whisper: everything that works on a GPU."""


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def settings(**changes: Any) -> MachineSettings:
    return MachineSettings(**{**WHOLE, **changes})


def needs_of(**changes: Any) -> tuple[Need, ...]:
    return needed(settings(**changes))


def fits(**changes: Any) -> dict[str, bool]:
    return {name: isinstance(plan(needs_of(**changes), gpus), Plan) for name, gpus in CARDS.items()}


def recorded(directory: Path, seconds: float) -> dict[str, Any]:
    """The voice section with a recording of this length where the server runs."""
    folder = directory / "references" / "me"
    folder.mkdir(parents=True)
    with wave.open(str(folder / "sample.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(int(2 * 8_000 * seconds)))
    return {
        "engine": "fish_speech",
        "fish_speech": {"key": "voice", "reference": "me", "server": {"dir": str(directory)}},
    }


@pytest.mark.parametrize(
    ("model", "gib", "basis"),
    [
        ("mamaylm-gemma-2-9b-it-v0.1", 9.1, "reported"),
        ("mamaylm-gemma-3-4b-it-v1.0", 4.5, "computed"),
        ("mamaylm-gemma-3-12b-it-v1.0", 10.9, "computed"),
        ("mamaylm-gemma-3-12b-it-v2.0", 10.9, "computed"),
        ("mamaylm-gemma-3-27b-it-v2.0", 20.8, "computed"),
    ],
)
def test_a_language_model_needs_its_weights_its_cache_and_a_gigabyte(model: str, gib: float, basis: str) -> None:
    need = llm_need(model, 8192, Catalog.read())
    assert need.gib == pytest.approx(gib, abs=0.05) and need.basis == basis


def test_twice_the_context_is_twice_the_cache() -> None:
    short, long = (llm_need("mamaylm-gemma-2-9b-it-v0.1", tokens, Catalog.read()) for tokens in (8192, 16_384))
    assert long.gib - short.gib == pytest.approx(2.625)


def test_all_of_it_is_refused_on_24_gb_and_fits_on_twice_24_and_on_48() -> None:
    assert fits() == {"24 GB": False, "2 × 24 GB": True, "48 GB": True}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"face": {"avatar": "/me", "musetalk": {"decoder": "taesd"}}}, True),
        ({"services": {"llm_model": "mamaylm-gemma-3-4b-it-v1.0"}}, True),
        ({"services": {"llm_model": "mamaylm-gemma-3-12b-it-v2.0"}}, False),
        ({"asr": {"device": "cpu"}}, False),
        ({"face": {}}, True),
        ({"tts": {}}, True),
    ],
)
def test_what_fits_on_24_gb(changes: dict[str, Any], expected: bool) -> None:
    assert fits(**changes)["24 GB"] is expected


def test_with_a_short_recording_and_the_recognizer_on_the_cpu_it_fits_on_24_gb(tmp_path: Path) -> None:
    voice = recorded(tmp_path, 15.0)
    assert not fits(tts=voice)["24 GB"]
    assert fits(tts=voice, asr={"device": "cpu"})["24 GB"]


@pytest.mark.parametrize(("seconds", "gib"), [(15.0, 5.4), (35.0, 7.0), (None, 7.0)])
def test_a_long_recording_costs_memory_and_an_unknown_one_may_be_long(
    seconds: float | None, gib: float, tmp_path: Path
) -> None:
    if seconds is not None:
        recorded(tmp_path, seconds)
    section = FishSpeechSettings.model_validate({"reference": "me", "server": {"dir": str(tmp_path)}})
    assert voice_need(section).gib == gib


def test_the_largest_model_needs_a_card_of_its_own() -> None:
    large = {"services": {"llm_model": "mamaylm-gemma-3-27b-it-v2.0"}}
    assert fits(**large) == {"24 GB": False, "2 × 24 GB": True, "48 GB": True}
    found = plan(needs_of(**large), CARDS["2 × 24 GB"])
    assert isinstance(found, Plan)
    assert found.gpu["llm"] != found.gpu["performer"] == found.gpu["voice"]


def test_two_cards_are_loaded_alike() -> None:
    found = plan(needs_of(), CARDS["2 × 24 GB"])
    assert isinstance(found, Plan)
    assert found.gpu == {"llm": 0, "voice": 1, "performer": 1} or found.gpu == {"llm": 0, "voice": 0, "performer": 1}
    assert min(found.free_gib) > 5


def test_a_refusal_says_what_there_is_and_what_would_fit() -> None:
    found = plan(needs_of(), CARDS["24 GB"])
    assert isinstance(found, Refusal)
    assert found.reason == (
        "25.7 GiB of GPU memory are needed (language model mamaylm-gemma-2-9b-it-v0.1 9.1, cloned voice 7.0, "
        "recognizer 2.2, face 7.4) and 22.8 GiB are to be had; it would fit with "
        "UNDERSTUDY_FACE__MUSETALK__DECODER=taesd, or on 2 × 24 GB, or on 48 GB."
    )


def test_on_a_small_card_several_changes_are_named_together() -> None:
    found = plan(needs_of(), (Gpu("16 GB", 16.0),))
    assert isinstance(found, Refusal)
    assert (
        "with UNDERSTUDY_SERVICES__LLM_MODEL=mamaylm-gemma-3-4b-it-v1.0, a recording of at most 20 s, "
        "UNDERSTUDY_ASR__DEVICE=cpu and UNDERSTUDY_FACE__MUSETALK__DECODER=taesd, or" in found.reason
    )


def test_where_nothing_helps_another_machine_does() -> None:
    found = plan((Need("llm", "language model", 60.0, "computed"),), (Gpu("48 GB", 48.0),))
    assert isinstance(found, Refusal) and found.reason.endswith("move one of them to another machine by its URL.")


def test_a_reserve_is_left_alone() -> None:
    need = (Need("llm", "language model", 23.0, "computed"),)
    assert isinstance(plan(need, CARDS["24 GB"]), Refusal)
    assert isinstance(plan(need, CARDS["24 GB"], reserve=0.0), Plan)


def test_a_machine_without_a_gpu_starts_everything() -> None:
    services = wanted_services(settings())
    assert placed(services, needs_of(), (), ServicesSettings()) == services


def test_a_machine_whose_gpu_is_too_small_starts_nothing_unless_told_to() -> None:
    services, needs = wanted_services(settings()), needs_of()
    with pytest.raises(ServicesError, match="UNDERSTUDY_SERVICES__VRAM_CHECK=false starts them nevertheless"):
        placed(services, needs, CARDS["24 GB"], ServicesSettings())
    assert placed(services, needs, CARDS["24 GB"], ServicesSettings(vram_check=False)) == services


def test_of_several_gpus_each_service_sees_its_own_and_programs_started_one_by_one_agree() -> None:
    gpus = (Gpu("4090", 24.0, "GPU-a"), Gpu("4090", 24.0, "GPU-b"))
    together = placed(wanted_services(settings()), needs_of(), gpus, ServicesSettings())
    seen = {service.name: service.environment["CUDA_VISIBLE_DEVICES"] for service in together}
    assert set(seen.values()) == {"GPU-a", "GPU-b"}
    for name in seen:
        (*_, alone) = placed(wanted_services(settings(), only=name), needs_of(), gpus, ServicesSettings())
        assert alone.environment["CUDA_VISIBLE_DEVICES"] == seen[name]


SMI = """0, GPU-1f2e, NVIDIA GeForce RTX 4090, 24564, 312
1, GPU-77aa, NVIDIA GeForce RTX 4090, 24564, 1
"""


@pytest.mark.parametrize(
    ("visible", "ids"),
    [(None, ["GPU-1f2e", "GPU-77aa"]), ("1", ["GPU-77aa"]), ("GPU-1f", ["GPU-1f2e"]), ("", []), ("-1", [])],
)
def test_only_gpus_that_we_may_use_are_counted(visible: str | None, ids: list[str]) -> None:
    gpus = parse(SMI, visible)
    assert [gpu.id for gpu in gpus] == ids
    assert all(gpu.gib == pytest.approx(23.99, abs=0.01) for gpu in gpus)


def test_a_gpu_that_does_not_tell_its_memory_is_none() -> None:
    assert parse("0, GPU-9, NVIDIA GB10, [N/A], [N/A]\nnonsense\n") == ()
