"""What supervisord is told about services, and what is kept from it."""

import configparser
import shlex
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.machine.keys import MADE, machine_keys, read_variables, write_private, write_variables
from deploy.machine.supervisord import LONGEST_SOCKET_PATH, Layout, configuration, start_order
from peer_remote.services.service import Health, Service
from signaling.settings import SettingsError

PYTHON, ROOT = Path("/opt/under study/bin/python"), Path("/srv/100%")
SIGNALING = Service("signaling", ("python", "-m", "signaling"), Health("http", "https://127.0.0.1:8443/healthz"))
LLM = Service("llm", ("serve",), Health("tcp", "tcp://127.0.0.1:8001"), secrets={"KEY": SecretStr("s3cret-s3cret")})
PERFORMER = Service("performer", ("perform",), Health("process"), after=("llm", "signaling", "elsewhere"), stop_s=12.0)


def read(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "m")


def test_every_service_is_a_program_that_is_started_again(layout: Layout) -> None:
    found = read(configuration((SIGNALING, LLM, PERFORMER), layout, python=PYTHON, root=ROOT))
    for name in ("signaling", "llm", "performer"):
        program = found[f"program:{name}"]
        assert shlex.split(program["command"]) == [str(PYTHON), "-m", "deploy.machine", "run", name]
        assert program["autorestart"] == program["autostart"] == program["killasgroup"] == "true"
        assert program["stdout_logfile"] == str(layout.log_of(name))
        assert (program["stdout_logfile_maxbytes"], program["stdout_logfile_backups"]) == ("10MB", "3")


def test_a_service_starts_behind_those_that_it_needs(layout: Layout) -> None:
    assert [one.name for one in start_order((PERFORMER, LLM, SIGNALING))] == ["llm", "signaling", "performer"]
    found = read(configuration((PERFORMER, LLM, SIGNALING), layout, python=PYTHON, root=ROOT))
    places = {name: found.getint(f"program:{name}", "priority") for name in ("llm", "signaling", "performer")}
    assert places["performer"] > max(places["llm"], places["signaling"])


def test_services_that_wait_for_each_other_are_refused() -> None:
    left = Service("left", ("x",), Health("process"), after=("right",))
    right = Service("right", ("x",), Health("process"), after=("left",))
    with pytest.raises(ValueError, match=r"left, right"):
        start_order((left, right))


def test_a_service_has_its_time_to_end_before_it_is_killed(layout: Layout) -> None:
    found = read(configuration((PERFORMER,), layout, python=PYTHON, root=ROOT))
    assert found.getint("program:performer", "stopwaitsecs") > PERFORMER.stop_s
    assert found["program:performer"]["stopsignal"] == "TERM"


def test_no_secret_and_no_bare_percent_sign_is_in_the_file(layout: Layout) -> None:
    text = configuration((SIGNALING, LLM, PERFORMER), layout, python=PYTHON, root=ROOT)
    assert "s3cret" not in text
    assert "directory=/srv/100%%\n" in text, "a single one begins a substitution"


@pytest.mark.parametrize("folder", ['/srv/"quoted"', "/srv/a ;b", "/srv/a #b", "/srv/a\n[program:x]\ncommand=x"])
def test_a_folder_that_its_file_cannot_name_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match="supervisord"):
        configuration((SIGNALING,), Layout(Path(folder)), python=PYTHON, root=ROOT)


def test_only_its_owner_reaches_supervisord(layout: Layout) -> None:
    found = read(configuration((SIGNALING,), layout, python=PYTHON, root=ROOT))
    assert found["unix_http_server"]["chmod"] == "0700"
    assert "inet_http_server" not in found


def test_a_deep_folder_has_its_socket_elsewhere(tmp_path: Path) -> None:
    deep, other = Layout(tmp_path / ("d" * 120)), Layout(tmp_path / ("e" * 120))
    assert len(str(deep.socket)) <= LONGEST_SOCKET_PATH
    assert deep.socket != other.socket
    assert Layout(Path("/workspace/understudy")).socket == Path("/workspace/understudy/supervisor.sock")


def test_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    file = tmp_path / "m" / "secrets.env"
    first = machine_keys(file, {})
    assert machine_keys(file, {}) == first
    assert len(set(first.values())) == len(MADE) and all(len(key) >= 32 for key in first.values())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_of_the_environment_wins_and_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    made = machine_keys(file, {})
    given = machine_keys(file, {MADE[0]: "given-given-given"})
    assert given == {**made, MADE[0]: "given-given-given"}
    assert machine_keys(file, {}) == given


def test_variables_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "machine.env"
    variables = {
        "UNDERSTUDY_PERSONA__NAME": "Ada = 'x' \"y\" $HOME #",
        "A": "two\u2028B=lines\x85\x0c",
        "HF_TOKEN": "hf_x",
    }
    write_variables(file, variables)
    assert read_variables(file) == variables
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_value_of_two_lines_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="UNDERSTUDY_PERSONA__PROMPT") as refused:
        write_variables(tmp_path / "machine.env", {"UNDERSTUDY_PERSONA__PROMPT": "secret\nsecret"})
    assert "secret" not in str(refused.value)


def test_a_file_that_others_could_read_is_replaced_by_one_that_they_cannot(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and file.read_text() == "new"
