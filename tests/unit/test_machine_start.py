"""The start of a machine as somebody sees it who waits for it, and what its services find in their environment."""

import base64
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.certificate import Certificate, ensure
from deploy.console import SetupError
from deploy.machine.environment import certificate_of, connection, reach, service_environment
from deploy.machine.keys import ENGINE_KEYS, MADE
from deploy.machine.progress import (
    MAX_BYTES,
    PHASES,
    Line,
    Progress,
    begin_anew,
    last_lines,
    parse_line,
    say_on_the_machine,
)
from deploy.machine.readiness import STARTS_ALLOWED, NotReady, wait_until_ready
from deploy.machine.services import engine_services, environment_of, machine_services
from deploy.machine.settings import MachineSettings
from deploy.machine.supervisord import Program
from peer_remote.services.service import Health, Service
from signaling.connection_string import ConnectionString
from signaling.settings import SettingsError

AT = datetime(2026, 11, 25, 20, 40, 1, tzinfo=UTC)
KEYS = {name: f"{name.lower()}-0123456789" for name in MADE}
NOW_S = 1_800_000_000.0


# -- progress ----------------------------------------------------------------------------------------------------------


def test_what_is_told_is_what_is_read(tmp_path: Path) -> None:
    told: list[str] = []
    progress = Progress(tmp_path / "progress", now=lambda: AT, out=told.append)
    with progress.phase("weights", "embedded"):
        progress.note("weights", "two\n lines")
    assert told == [
        "==> 2026-11-25T20:40:01Z weights began: embedded",
        "==> 2026-11-25T20:40:01Z weights note: two lines",
        "==> 2026-11-25T20:40:01Z weights done",
    ]
    assert (tmp_path / "progress").read_text().splitlines() == told
    assert parse_line(told[0]) == Line(AT, "weights", "began", "embedded")


def test_a_failed_phase_is_told_in_one_sentence_and_with_the_end_of_its_log(tmp_path: Path) -> None:
    told: list[str] = []
    progress = Progress(tmp_path / "progress", now=lambda: AT, out=told.append)
    with pytest.raises(SetupError), progress.phase("environment"):
        raise SetupError("There is no compiler.")
    assert told[-1].endswith("environment failed: There is no compiler.")
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    old.write_text("of another day")
    os.utime(old, (1, 1))
    with pytest.raises(SetupError), progress.phase("weights", logs=(old, new, tmp_path / "none.log")):
        new.write_text("one\ntwo")
        raise SetupError("Nothing answers.")
    assert told[-3:] == ["==> 2026-11-25T20:40:01Z weights failed: Nothing answers.", "    | one", "    | two"]
    assert (tmp_path / "progress").read_text().splitlines() == told


@pytest.mark.parametrize("line", ["", "==> soon weights began", "==> 2026-11-25T20:40:01Z lunch began", "    | x"])
def test_other_lines_of_a_log_are_no_events(line: str) -> None:
    assert parse_line(line) is None


def test_a_full_disk_silences_nobody(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "file").write_text("")
    Progress(tmp_path / "file" / "progress", now=lambda: AT, out=told.append).failed("weights", "No space is left.")
    assert told == ["==> 2026-11-25T20:40:01Z weights failed: No space is left."]


def test_the_file_of_many_starts_does_not_grow_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "progress"
    file.write_text("x" * (MAX_BYTES + 1))
    begin_anew(file)
    assert not file.exists() and (tmp_path / "progress.1").exists()
    assert last_lines(file) == []


# -- readiness ---------------------------------------------------------------------------------------------------------

LLM = Service("llm", ("x",), Health("tcp", "tcp://llm"), start_s=100.0)
SIGNALING = Service("signaling", ("x",), Health("tcp", "tcp://signaling"))
WATCHDOG = Service("watchdog", ("x",), Health("tcp", "tcp://watchdog"))


class Start:
    """A start on a clock of the test's own; `well_at` says from which second on each service is well."""

    def __init__(self, well_at: Mapping[str, float], performs_at: float = 0.0) -> None:
        self.now_s = 0.0
        self.well_at = well_at
        self.performs_at = performs_at
        self.programs: Callable[[], Mapping[str, Program]] = lambda: {"llm": Program("llm", "RUNNING", 1, 1)}
        self.told: list[str] = []

    def wait(self, folder: Path) -> float:
        def sleep(seconds: float) -> None:
            self.now_s += seconds

        return wait_until_ready(
            (SIGNALING, LLM, WATCHDOG),
            well=lambda health: self.now_s >= self.well_at.get(health.url.removeprefix("tcp://"), 1e9),
            performs=lambda: self.now_s >= self.performs_at,
            programs=lambda: self.programs(),
            progress=Progress(folder / "progress", out=self.told.append),
            clock=lambda: self.now_s,
            sleep=sleep,
        )


def test_engines_come_before_the_double(tmp_path: Path) -> None:
    start = Start({"llm": 40, "signaling": 1}, performs_at=60)
    assert start.wait(tmp_path) == pytest.approx(60, abs=1)
    words = [line.split(" ", 2)[2] for line in start.told]
    assert words == [
        "compile began",
        "compile note: waiting for llm, 30 s",
        "compile done: llm",
        "warm-up began",
        "warm-up done",
    ]


def test_a_service_that_does_not_get_well_is_named(tmp_path: Path) -> None:
    start = Start({"signaling": 1})
    with pytest.raises(NotReady, match=r"^llm: not well within 100 s") as failed:
        start.wait(tmp_path)
    assert (failed.value.phase, failed.value.service) == ("compile", "llm")


def test_a_service_that_dies_again_and_again_is_not_waited_for(tmp_path: Path) -> None:
    start = Start({"signaling": 1})
    start.programs = lambda: {"llm": Program("llm", "RUNNING", int(start.now_s // 5) + 1, 7)}
    with pytest.raises(NotReady, match="llm ends again and again"):
        start.wait(tmp_path)
    assert start.now_s < 5 * (STARTS_ALLOWED + 1)


# -- environment -------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return ensure(tmp_path / "tls")


def variables(
    certificate: Certificate, outside: Mapping[str, str], *, relays: bool = True, **settings: object
) -> dict[str, str]:
    machine = MachineSettings.model_validate({"dir": Path("/m"), **settings})
    where = reach(machine, outside, "172.17.0.2")
    return service_environment(
        machine, outside, {}, KEYS, certificate=certificate, where=where, own_address="172.17.0.2", relays=relays,
        now_s=NOW_S,
    )  # fmt: skip


RENTED = {
    "PUBLIC_IPADDR": " 203.0.113.7 ",
    "VAST_TCP_PORT_8443": "33526",
    "VAST_TCP_PORT_3478": "33527",
    "VAST_UDP_PORT_40000": "33528",
    "VAST_UDP_PORT_40001": "33529",
}


def test_a_rented_machine_announces_its_outside_address_and_ports(certificate: Certificate) -> None:
    found = variables(certificate, RENTED, media_ports="40000,40001")
    assert found["UNDERSTUDY_SIGNALING__TURN_URLS"] == "turn:203.0.113.7:33527?transport=tcp"
    assert found["UNDERSTUDY_REMOTE__PUBLIC_ADDRESS"] == "203.0.113.7"
    assert found["UNDERSTUDY_REMOTE__MEDIA_PORTS"] == "40000,40001"
    assert found["UNDERSTUDY_REMOTE__PUBLIC_PORTS"] == "33528,33529"
    assert found["UNDERSTUDY_REMOTE__SIGNALING_PIN"] == certificate.pin


def test_a_machine_of_ones_own_announces_itself(certificate: Certificate) -> None:
    found = variables(certificate, {})
    assert found["UNDERSTUDY_SIGNALING__TURN_URLS"] == "turn:172.17.0.2:3478?transport=tcp"
    assert not [name for name in found if "PUBLIC" in name or "MEDIA_PORTS" in name]


def test_without_a_turn_server_nobody_is_sent_to_one(certificate: Certificate) -> None:
    found = variables(certificate, {"UNDERSTUDY_SIGNALING__TURN_SECRET": "x" * 16}, relays=False)
    assert not [name for name in found if "TURN" in name or "RELAY" in name]


def test_a_second_start_makes_the_same_variables(certificate: Certificate) -> None:
    assert variables(certificate, RENTED) == variables(certificate, RENTED)


def test_the_operator_is_let_in_by_one_line(certificate: Certificate) -> None:
    machine = MachineSettings()
    line = str(connection(machine, "s" * 32, reach(machine, RENTED, "172.17.0.2"), certificate.pin, now_s=NOW_S))
    found = ConnectionString.parse(line)
    assert (found.host, found.port, found.room, found.pin) == ("203.0.113.7", 33526, "main", certificate.pin)
    assert ".operator." in found.token


def test_each_service_sees_only_the_secrets_that_it_uses(certificate: Certificate) -> None:
    outside = {
        **RENTED,
        "CONTAINER_ID": "7",
        "CONTAINER_API_KEY": "api",
        "HF_TOKEN": "hf",
        "PATH": "/bin",
        "SECRET": "x",
        "VAST_API_KEY": "of the account",
        "UNDERSTUDY_DEPLOY__API_KEY": "of the account",
    }
    found = variables(certificate, outside)
    assert "of the account" not in found.values(), "it rents, and nothing here does"
    assert "SECRET" not in found, "what is not ours is not passed on"
    assert "HF_TOKEN" not in found, "weights are fetched before"
    seen = {name: environment_of(name, found) for name in ("signaling", "turn", "performer", "llm", "watchdog")}
    assert all("PATH" in one for one in seen.values())
    assert [name for name, one in seen.items() if "CONTAINER_API_KEY" in one] == ["watchdog"]
    assert [name for name, one in seen.items() if "UNDERSTUDY_SIGNALING__SECRET" in one] == ["signaling"]
    assert [name for name, one in seen.items() if "UNDERSTUDY_SIGNALING__TURN_SECRET" in one] == ["signaling"]
    assert "UNDERSTUDY_REMOTE__TOKEN" in seen["performer"] and "UNDERSTUDY_REMOTE__TOKEN" not in seen["watchdog"]
    assert not [name for name in seen["turn"] if name.startswith("UNDERSTUDY_")]


def test_a_certificate_that_was_sent_along_keeps_its_pin(tmp_path: Path) -> None:
    made = ensure(tmp_path / "laptop")
    sent = MachineSettings.model_validate(
        {
            "tls_certificate": base64.b64encode(made.certificate.read_bytes()).decode(),
            "tls_key": base64.b64encode(made.key.read_bytes()).decode(),
        }
    )
    assert certificate_of(sent, tmp_path / "machine", ()).pin == made.pin
    assert certificate_of(MachineSettings(), tmp_path / "other", ()).pin != made.pin


def test_a_certificate_that_is_none_is_told_without_its_key() -> None:
    sent = MachineSettings.model_validate({"tls_certificate": "***", "tls_key": "sekret!"})
    with pytest.raises(SettingsError, match="base64") as refused:
        certificate_of(sent, Path("/nowhere"), ())
    assert "sekret" not in str(refused.value)


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a machine with a card is told to run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_LLM__ENGINE", "openai")
    monkeypatch.setenv("UNDERSTUDY_TTS__ENGINE", "fish_speech")
    for name in ENGINE_KEYS:
        monkeypatch.setenv(name, KEYS[name])


def test_engines_are_programs_of_their_own_and_the_double_comes_last(on_a_gpu: None) -> None:
    found = engine_services()
    assert [one.name for one in found] == ["llm", "voice", "performer"]
    for one in found:
        assert one.command[1:] == ("-m", "peer_remote", "services", "--only", one.name)
        assert not one.secrets and not one.environment, "they come from the environment, not from a description"
    assert {"llm", "voice", "signaling"} <= set(found[-1].after)


def test_the_services_of_a_machine_in_order(on_a_gpu: None) -> None:
    settings = MachineSettings()
    names = [
        one.name
        for one in machine_services(
            settings,
            engine_services(),
            turn_configuration=Path("/m/turnserver.conf"),
            turn_address="10.0.0.2",
        )
    ]
    assert names == ["signaling", "turn", "llm", "voice", "performer", "watchdog"]
    bare = machine_services(settings, engine_services(), turn_configuration=None)
    assert "turn" not in [one.name for one in bare]
    assert list(PHASES)[-1] == "ready"


def test_a_rented_machine_tells_the_log_of_its_container_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "stdout-of-process-1"
    log.touch()
    say_on_the_machine("one", log)
    monkeypatch.setenv("CONTAINER_ID", "7")
    say_on_the_machine("two", log)
    say_on_the_machine("three", tmp_path / "nowhere" / "none")
    assert log.read_text() == "two\n"
    assert capsys.readouterr().out == "one\ntwo\nthree\n"
