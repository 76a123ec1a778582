"""The container's files say the same as the code that they start: ports, folders, programs.

Neither a Docker daemon nor its build plug-in is needed: the few rules that matter here are looked at by hand.
"""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.machine.__main__ import _parser
from deploy.machine.settings import MachineSettings, default_directory

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
INSTRUCTIONS = set(
    "FROM RUN COPY WORKDIR VOLUME EXPOSE ENV ARG HEALTHCHECK ENTRYPOINT CMD STOPSIGNAL USER LABEL".split()
)


def instructions() -> list[tuple[str, str]]:
    """Each instruction and its arguments, continued lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in joined.splitlines() if line.strip()]


def arguments(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    return found


def exposed() -> set[str]:
    return {word for rest in arguments("EXPOSE") for word in rest.split()}


def test_the_image_begins_with_a_fixed_version_and_knows_its_instructions() -> None:
    found = instructions()
    assert found[0][0] == "FROM"
    assert re.fullmatch(r"nvidia/cuda:\d+\.\d+\.\d+-devel-ubuntu24\.04", found[0][1])
    assert {name for name, _ in found} <= INSTRUCTIONS


def test_packages_are_installed_from_a_fresh_list_that_is_not_kept() -> None:
    steps = [rest for rest in arguments("RUN") if "apt-get install" in rest]
    assert steps
    for step in steps:
        assert step.index("apt-get update") < step.index("apt-get install -y --no-install-recommends")
        assert step.endswith("rm -rf /var/lib/apt/lists/*")


def test_every_command_of_the_image_is_one_that_there_is() -> None:
    entry = json.loads(arguments("ENTRYPOINT")[0])
    assert entry[0] == "bash" and (ROOT / entry[1]).is_file()
    _parser().parse_args(["up", *entry[2:]])
    health = json.loads(arguments("HEALTHCHECK")[0].partition("CMD ")[2])
    assert health[1:3] == ["-m", "deploy.machine"]
    _parser().parse_args(health[3:])


def test_nothing_secret_is_built_in() -> None:
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    assert {".env", ".env.*", ".venv"} <= set(ignored)
    assert not arguments("ENV") and not arguments("ARG")


def test_the_ports_are_those_that_the_machine_listens_on(compose: dict[str, Any]) -> None:
    settings = MachineSettings(
        media_ports=compose["services"]["double"]["environment"]["UNDERSTUDY_MACHINE__MEDIA_PORTS"]
    )
    wanted = {f"{settings.signaling_port}/tcp", f"{settings.turn_port}/tcp"}
    wanted |= {f"{port}/udp" for port in settings.media_ports}
    published = [re.fullmatch(r"(\d+):(\d+/(?:tcp|udp))", line) for line in compose["services"]["double"]["ports"]]
    assert {match[2] for match in published if match} == wanted == exposed()
    assert all(match and match[1] == match[2].partition("/")[0] for match in published)
    numbers = [word.partition("/")[0] for word in wanted]
    assert len(set(numbers)) == len(numbers), "a rented machine maps a number for one protocol only"


def test_what_has_to_last_is_on_the_volume(compose: dict[str, Any], tmp_path: Path) -> None:
    (mount,) = compose["services"]["double"]["volumes"]
    name, _, place = mount.partition(":")
    assert name in compose["volumes"] and [place] == arguments("VOLUME")
    assert default_directory(tmp_path) == tmp_path / "understudy"
    assert place == "/workspace"


def test_the_container_has_the_gpu_and_time_to_end(compose: dict[str, Any]) -> None:
    double = compose["services"]["double"]
    (device,) = double["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert double["init"] is True and double["stop_grace_period"] == "1m"
    assert (ROOT / "deploy" / double["build"]["context"] / double["build"]["dockerfile"]).resolve() == DOCKERFILE


def test_the_address_has_to_be_named(compose: dict[str, Any]) -> None:
    value = compose["services"]["double"]["environment"]["UNDERSTUDY_MACHINE__PUBLIC_ADDRESS"]
    assert re.fullmatch(r"\$\{PUBLIC_ADDRESS:\?[^}]+\}", value)


def test_run_lines_are_shell(compose: dict[str, Any]) -> None:
    for step in arguments("RUN"):
        assert shlex.split(step)
