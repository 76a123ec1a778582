"""Finding a language model's server at the start of a program, and starting one."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from models.errors import EngineUnavailable
from models.llm import __main__ as program
from models.llm.openai_server import create
from models.llm.serve import DEFAULT_MODEL, ServerCommand, require_key, require_packages
from models.llm.server import RETRY_S, Server, has_system_role, served_models
from models.settings import EngineSettings, LlmSettings
from models.weights import Catalog

KEY = SecretStr("open-sesame-to-tests")
GOOD = json.dumps({"object": "list", "data": [{"id": "mamaylm"}, {"id": "other"}]})


class Listing:
    """A server that answers the question for its models with `replies` in order, and the last again and again."""

    def __init__(self) -> None:
        self.replies = [(200, GOOD)]
        self.keys: list[str | None] = []
        listing = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listing.keys.append(self.headers.get("Authorization"))
                status, body = listing.replies.pop(0) if len(listing.replies) > 1 else listing.replies[0]
                self.send_response(status if self.path == "/v1/models" else 418)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def listing() -> Iterator[Listing]:
    one = Listing()
    yield one
    one.close()


class Waiting:
    """Time that only passes in sleep."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def asked(listing: Listing, *, wait_s: float = 0.0, waiting: Waiting | None = None) -> list[str]:
    time = waiting or Waiting()
    return served_models(Server.at(listing.url, KEY), wait_s=wait_s, timeout_s=5, clock=time.clock, sleep=time.sleep)


def refusal(listing: Listing) -> str:
    with pytest.raises(EngineUnavailable) as refused:
        asked(listing)
    assert KEY.get_secret_value() not in str(refused.value)
    assert listing.url.removeprefix("http://") in str(refused.value)
    return str(refused.value)


def settings(listing: Listing, **options: object) -> EngineSettings:
    values = {"engine": "openai", "url": listing.url, "key": KEY, "start_wait_s": 0, **options}
    return EngineSettings.model_validate({"llm": values})


# Where it is


@pytest.mark.parametrize(
    ("url", "api", "root"),
    [
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001/v1", "http://127.0.0.1:8001"),
        ("http://127.0.0.1:8001/", "http://127.0.0.1:8001/v1", "http://127.0.0.1:8001"),
        ("https://a.example.org/api/v1/", "https://a.example.org/api/v1", "https://a.example.org/api"),
        ("https://a.example.org/v1beta/openai", "https://a.example.org/v1beta/openai", None),
    ],
)
def test_an_address_is_the_servers_or_the_apis(url: str, api: str, root: str | None) -> None:
    server = Server.at(url)
    assert (server.url, server.root) == (api, root)


@pytest.mark.parametrize("url", ["ftp://a", "http://user:secret@a", "http://a?x=1", "http://", "a:8001"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        LlmSettings(url=url)


def test_a_key_that_fits_no_header_is_refused_without_being_told() -> None:
    with pytest.raises(ValidationError) as refused:
        LlmSettings(key=SecretStr("clé secrète"))
    assert "a key is made of ASCII" in str(refused.value)
    assert "secr" not in str(refused.value)


def test_a_key_that_everybody_on_the_way_can_read_is_noticed() -> None:
    urls = ("http://10.0.0.7:8001", "https://10.0.0.7:8001", "http://127.0.0.1:8001", "http://localhost")
    assert [Server.at(url, KEY).exposes_key for url in urls] == [True, False, False, False]
    assert not Server.at("http://10.0.0.7").exposes_key


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mamaylm-gemma-2-9b-it-v0.1", False),
        ("MamayLM-Gemma-2-9B-IT-v0.1.Q4_K_M.gguf", False),
        ("gemma2:9b", False),
        ("gemma-7b-it", False),
        ("gemma-3-12b-it", True),
        ("gemma3:4b", True),
        ("mamaylm-gemma-3-12b-it-v2.0", True),
        ("qwen2.5-7b-instruct", True),
    ],
)
def test_a_models_name_tells_whether_it_has_a_system_role(name: str, expected: bool) -> None:
    assert has_system_role(name) is expected


# What it serves


def test_the_first_model_that_the_server_lists_is_used(listing: Listing) -> None:
    assert asked(listing) == ["mamaylm", "other"]
    assert listing.keys == [f"Bearer {KEY.get_secret_value()}"]
    assert create(settings(listing)) is not None


def test_a_server_that_still_loads_is_waited_for(listing: Listing) -> None:
    waiting = Waiting()
    listing.replies = [(503, ""), (503, ""), (200, GOOD)]
    assert asked(listing, wait_s=20, waiting=waiting) == ["mamaylm", "other"]
    assert waiting.now_s == pytest.approx(2 * RETRY_S)


def test_a_server_that_never_gets_ready_is_waited_for_no_longer_than_told(listing: Listing) -> None:
    waiting = Waiting()
    listing.replies = [(503, "")]
    with pytest.raises(EngineUnavailable, match="not ready"):
        asked(listing, wait_s=2, waiting=waiting)
    assert waiting.now_s == pytest.approx(2, abs=RETRY_S)


def test_a_server_that_is_not_there_is_one_sentence(listing: Listing) -> None:
    listing.close()
    assert "does not answer; start it" in refusal(listing)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_one_sentence(listing: Listing, status: int) -> None:
    listing.replies = [(status, KEY.get_secret_value())]
    assert "UNDERSTUDY_LLM__KEY" in refusal(listing)


@pytest.mark.parametrize("reply", [(200, "<html>"), (200, "[]"), (200, '{"data": 1}'), (302, GOOD)])
def test_something_else_is_one_sentence(listing: Listing, reply: tuple[int, str]) -> None:
    listing.replies = [reply]
    assert "no OpenAI-compatible server" in refusal(listing)


def test_a_server_that_does_not_tell_what_it_serves_needs_a_name(listing: Listing) -> None:
    listing.replies = [(404, "")]
    with pytest.raises(EngineUnavailable, match="SERVED_MODEL"):
        create(settings(listing))
    assert create(settings(listing, served_model="tiny")) is not None


# Starting one


def command(**options: object) -> ServerCommand:
    return ServerCommand(Path("/weights/a.gguf"), "mamaylm", **options)  # type: ignore[arg-type]


def test_the_server_is_started_for_one_conversation_on_this_machine_only() -> None:
    words = command(lora=Path("me.gguf"), threads=3).arguments()
    options = dict(zip(words[3::2], words[4::2], strict=True))
    expected = {"--host": "127.0.0.1", "--n_ctx": "8192", "--flash_attn": "true", "--logits_all": "false"}
    expected |= {"--n_gpu_layers": "-1", "--lora_path": "me.gguf", "--n_threads": "3", "--model_alias": "mamaylm"}
    assert expected.items() <= options.items()


def test_the_key_is_in_the_environment_and_nowhere_else() -> None:
    assert command().environment(KEY, {})["API_KEY"] == KEY.get_secret_value()
    assert KEY.get_secret_value() not in " ".join([*command().arguments(), command().shown()])


def test_the_server_inherits_no_variable_that_it_would_take_for_an_option() -> None:
    from llama_cpp.server.settings import Settings

    options = {name.upper(): "1" for name in Settings.model_fields} | {"CONFIG_FILE": "x", "UNDERSTUDY_LLM__KEY": "y"}
    kept = command().environment(KEY, options | {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0", "LD_LIBRARY_PATH": "/l"})
    assert set(kept) == {"API_KEY", "PATH", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "GOMP_SPINCOUNT"}


def test_its_options_are_the_ones_that_the_server_has() -> None:
    from llama_cpp.server.settings import Settings

    words = command(lora=Path("x"), threads=1).arguments()[3::2]
    assert {word.removeprefix("--") for word in words} <= set(Settings.model_fields)


def test_sliding_windows_are_cached_whole_without_an_option() -> None:
    import llama_cpp

    assert llama_cpp.llama_context_default_params().swa_full


@pytest.mark.parametrize(("key", "host"), [(None, "127.0.0.1"), ("", "127.0.0.1"), ("short", "0.0.0.0")])
def test_a_server_without_a_good_key_does_not_start(key: str | None, host: str) -> None:
    with pytest.raises(EngineUnavailable, match="UNDERSTUDY_LLM__KEY"):
        require_key(None if key is None else SecretStr(key), host)


def test_a_missing_package_is_one_sentence() -> None:
    with pytest.raises(EngineUnavailable, match=r"no-such-package; run .*llm-server"):
        require_packages(["json", "no_such_package"])


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr("os.environ", {"UNDERSTUDY_WEIGHTS__DIR": str(tmp_path)})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_would_be_run_is_shown_without_the_key(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNDERSTUDY_LLM__KEY", KEY.get_secret_value())
    assert program.main(["serve", "--print-command"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith('API_KEY="$UNDERSTUDY_LLM__KEY" ')
    assert f"{DEFAULT_MODEL}/" in shown
    assert KEY.get_secret_value() not in shown


@pytest.mark.parametrize("model", ["mamaylm-gemma-3-12b-it-v1.0", "mamaylm-gemma-3-12b-it-v2.0"])
def test_newer_models_are_chosen_by_their_name(bare: Path, capsys: pytest.CaptureFixture[str], model: str) -> None:
    assert program.main(["serve", "--model", model, "--print-command"]) == 0
    assert f"--model_alias {model} " in capsys.readouterr().out


def test_the_files_of_all_mamaylm_are_found_by_pattern() -> None:
    models = {name: model for name, model in Catalog.read().models.items() if name.startswith("mamaylm")}
    assert len(models) >= 5
    assert {source.path for model in models.values() for source in model.files[0].sources} == {"*Q4_K_M*.gguf"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], f"run `python -m models fetch {DEFAULT_MODEL}`."),
        (["--model", "mamaylm"], "neither a model nor a group"),
        (["--lora", "nowhere.gguf", "--print-command"], "There is no adapter nowhere.gguf"),
    ],
)
def test_what_is_missing_is_one_sentence(
    bare: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert program.main(["serve", *arguments]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_wrong_setting_is_one_sentence(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNDERSTUDY_LLM__TOP_K", "many")
    assert program.main(["serve", "--print-command"]) == 1
    assert capsys.readouterr().err.startswith("UNDERSTUDY_LLM__TOP_K: ")


def test_the_process_becomes_the_server(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setenv("UNDERSTUDY_LLM__KEY", KEY.get_secret_value())
    monkeypatch.setattr(program, "model_file", lambda model, directory: directory / model / "x.gguf")
    monkeypatch.setattr(
        program, "_become", lambda arguments, environment: started.append((arguments, environment)) or 0
    )
    assert program.main(["serve", "--port", "9000"]) == 0
    ((arguments, environment),) = started
    assert arguments[arguments.index("--port") + 1] == "9000"
    assert environment["API_KEY"] == KEY.get_secret_value()
    assert capsys.readouterr() == ("", "")
