"""What is installed, fetched and set for a machine, by its card and its user's wishes."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.console import SetupError
from deploy.llama import cuda_flavours
from deploy.machine.plan import Gpu, Plan, make_plan, read_gpu
from deploy.machine.progress import Progress
from deploy.machine.voice_server import extra_for, set_up
from deploy.serve import attempt_voice
from deploy.system import Apt
from models.tts.fish_server_command import COMMIT

CARD = Gpu("NVIDIA L40S", 45.0, (13, 0))
TOKEN = {"HF_TOKEN": "hf_x"}


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A machine's folder with the recording of one voice."""
    me = tmp_path / "machine" / "voice" / "references" / "me"
    me.mkdir(parents=True)
    (me / "sample.wav").touch()
    (me / "sample.lab").touch()
    return tmp_path / "machine"


def plan(
    environment: dict[str, str],
    gpu: Gpu | None,
    folder: Path = Path("/nowhere"),
    directory: Path = Path("/machine"),
) -> Plan:
    return make_plan(environment, gpu, directory=directory, weights=folder)


def test_without_a_gpu_the_embedded_engines_perform() -> None:
    found = plan(TOKEN, None)
    assert (found.extras, found.weights, dict(found.defaults)) == (("machine",), ("embedded",), {})
    assert not found.voice_server and not found.musetalk


def test_a_gpu_brings_all_three_services(recorded: Path) -> None:
    found = plan({"UNDERSTUDY_FACE__AVATAR": "/me", **TOKEN}, CARD, directory=recorded)
    assert set(found.extras) == {"machine", "llm-server", "musetalk"}
    assert {"mamaylm-gemma-2-9b-it-v0.1", "openaudio-s1-mini", "musetalk", "embedded"} <= set(found.weights)
    assert found.defaults["UNDERSTUDY_LLM__ENGINE"] == "openai"
    assert found.defaults["UNDERSTUDY_TTS__ENGINE"] == "fish_speech"
    assert found.defaults["UNDERSTUDY_TTS__FISH_SPEECH__SERVER__CHECKOUT"] == str(recorded / "fish-speech")
    assert found.defaults["UNDERSTUDY_TTS__FISH_SPEECH__REFERENCE"] == "me"
    assert found.voice_server and found.musetalk


def test_what_the_user_set_stays() -> None:
    found = plan({"UNDERSTUDY_LLM__ENGINE": "llama_cpp", "UNDERSTUDY_TTS__ENGINE": "kokoro", **TOKEN}, CARD)
    assert "llm-server" not in found.extras and not found.voice_server
    assert not {"UNDERSTUDY_LLM__ENGINE", "UNDERSTUDY_TTS__ENGINE"} & set(found.defaults)


def test_only_the_chosen_services_are_set_up() -> None:
    wishes = {"UNDERSTUDY_MACHINE__SERVICES": "language, face", "UNDERSTUDY_FACE__AVATAR": "/me", **TOKEN}
    found = plan(wishes, CARD)
    assert not found.voice_server and "UNDERSTUDY_TTS__ENGINE" not in found.defaults
    assert "openaudio-s1-mini" not in found.weights and found.musetalk
    assert plan({"UNDERSTUDY_MACHINE__SERVICES": "", **TOKEN}, CARD).weights == ("embedded", "whisper-large-v3-turbo")


def test_the_face_waits_for_an_avatar_and_finds_one_that_was_copied_there(tmp_path: Path) -> None:
    bare = plan(TOKEN, CARD, directory=tmp_path)
    assert not bare.musetalk and "musetalk" not in bare.extras
    assert any(str(tmp_path / "avatar") in note for note in bare.notes)
    (tmp_path / "avatar").mkdir()
    found = plan(TOKEN, CARD, directory=tmp_path)
    assert found.musetalk and found.defaults["UNDERSTUDY_FACE__AVATAR"] == str(tmp_path / "avatar")
    named = plan({"UNDERSTUDY_FACE__AVATAR": "/me", **TOKEN}, CARD, directory=tmp_path)
    assert "UNDERSTUDY_FACE__AVATAR" not in named.defaults


def test_the_language_model_that_was_chosen_is_the_one_that_is_fetched() -> None:
    found = plan({"UNDERSTUDY_SERVICES__LLM_MODEL": "another", **TOKEN}, CARD)
    assert "another" in found.weights and "mamaylm-gemma-2-9b-it-v0.1" not in found.weights


def test_gated_weights_without_a_key_leave_the_embedded_voice(tmp_path: Path, recorded: Path) -> None:
    found = plan({}, CARD, tmp_path, recorded)
    assert not found.voice_server and any("HF_TOKEN" in note for note in found.notes)
    (tmp_path / "openaudio-s1-mini").mkdir()
    assert plan({}, CARD, tmp_path, recorded).voice_server, "they were fetched before"


def test_without_a_recording_there_is_no_voice_to_clone(tmp_path: Path, recorded: Path) -> None:
    found = plan(TOKEN, CARD, directory=tmp_path)
    assert not found.voice_server and "openaudio-s1-mini" not in found.weights
    assert any("references/NAME" in note for note in found.notes)
    another = plan({"UNDERSTUDY_TTS__FISH_SPEECH__REFERENCE": "you", **TOKEN}, CARD, directory=recorded)
    assert not another.voice_server and any("references/you" in note for note in another.notes)


@pytest.mark.parametrize(
    ("services", "gpu", "words"), [("voices", CARD, "names voices"), ("voice", None, "need a GPU")]
)
def test_a_wish_that_cannot_be_had_is_one_sentence(services: str, gpu: Gpu | None, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        plan({"UNDERSTUDY_MACHINE__SERVICES": services}, gpu)


@pytest.mark.parametrize("label", ["CUDA Version: 12.8", "CUDA UMD Version: 12.8"])
def test_the_first_card_and_its_driver_are_read(label: str) -> None:
    status = f"| NVIDIA-SMI 570.86.10   Driver Version: 570.86.10   {label}     |"
    assert read_gpu("NVIDIA GeForce RTX 4090, 24564\nother, 1\n", status) == Gpu(
        "NVIDIA GeForce RTX 4090", 24564 / 1024, (12, 8)
    )
    assert read_gpu("No devices were found\n", status) is None


def test_a_wheel_is_linked_to_the_library_that_is_here_and_not_newer_than_the_driver() -> None:
    assert cuda_flavours((13, 0), 12)[0] == "cu125"
    assert cuda_flavours((13, 1), None)[0] == "cu130"
    assert cuda_flavours((12, 4), 12)[0] == "cu124"
    assert cuda_flavours((11, 8), 12) == []


class Commands:
    """What would have been run."""

    def __init__(self, fails: str = "") -> None:
        self.run_lines: list[str] = []
        self.fails = fails

    def __call__(self, command: Sequence[str], cwd: Path | None, timeout_s: int) -> None:
        self.run_lines.append(" ".join(command))
        if self.fails and self.fails in self.run_lines[-1]:
            raise SetupError("it failed.")
        if "sync" in command:
            assert cwd is not None
            (cwd / ".venv").mkdir()
        if command[:2] == ["git", "init"]:
            assert cwd is not None
            (cwd / ".git").mkdir()


class NoApt(Apt):
    def install(self, packages: Sequence[str], why: str) -> None:
        pass


def test_the_voice_server_is_set_up_once_at_its_commit(tmp_path: Path) -> None:
    commands, checkout = Commands(), tmp_path / "fish-speech"
    set_up(checkout, (13, 0), run=commands, apt=NoApt())
    assert f"git checkout -q --detach {COMMIT}" in commands.run_lines
    assert commands.run_lines[-1].endswith("sync --frozen --extra cu129")
    before = len(commands.run_lines)
    set_up(checkout, (13, 0), run=commands, apt=NoApt())
    assert len(commands.run_lines) == before


def test_a_set_up_that_broke_off_goes_on_at_the_next_start(tmp_path: Path) -> None:
    broken, checkout = Commands(fails="fetch"), tmp_path / "fish-speech"
    with pytest.raises(SetupError):
        set_up(checkout, (12, 8), run=broken, apt=NoApt())
    commands = Commands()
    set_up(checkout, (12, 8), run=commands, apt=NoApt())
    assert not [line for line in commands.run_lines if line.startswith("git init")]
    assert commands.run_lines[-1].endswith("--extra cu128")


def no_voice() -> None:
    raise SetupError("Cannot fetch openaudio-s1-mini: its terms are not accepted.")


def test_a_voice_that_cannot_be_had_leaves_the_embedded_one(tmp_path: Path, recorded: Path) -> None:
    told: list[str] = []
    progress, variables = Progress(tmp_path / "progress", out=told.append), dict(TOKEN)
    before = plan(TOKEN, CARD, directory=recorded)
    found = attempt_voice(before, progress, "weights", no_voice, variables)
    assert before.voice_server
    assert not found.voice_server and variables["UNDERSTUDY_TTS__ENGINE"] == "kokoro"
    assert "terms are not accepted" in told[0] and " weights note: " in told[0]
    assert plan(variables, CARD).defaults.get("UNDERSTUDY_TTS__ENGINE") is None, "the start goes on without it"


def test_a_voice_that_was_asked_for_is_not_replaced(tmp_path: Path) -> None:
    variables = {"UNDERSTUDY_TTS__ENGINE": "fish_speech", **TOKEN}
    with pytest.raises(SetupError, match="terms"):
        attempt_voice(plan(variables, CARD), Progress(tmp_path / "progress"), "weights", no_voice, variables)


def test_a_driver_that_is_too_old_for_the_voice_is_told() -> None:
    with pytest.raises(SetupError, match=r"12\.6.*12\.4"):
        extra_for((12, 4))
