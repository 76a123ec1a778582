"""What deploy/onstart.sh does about hosts that are not as they should be, in folders of the test's own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("deploy/onstart.sh", "deploy/machine/host.sh")

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="the scripts are for bash"
)


def bash(script: str, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run `script` with the functions of host.sh at hand; what it prints."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'source "$0"; {script}', str(ROOT / "deploy/machine/host.sh"), *arguments],
        env={"PATH": os.environ["PATH"], **(environment or {})},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_are_bash(script: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True, timeout=20)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    command = ["shellcheck", "--source-path", str(ROOT), "--external-sources", *(str(ROOT / name) for name in SCRIPTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_what_only_the_first_process_knows_is_taken_over(tmp_path: Path) -> None:
    environ = tmp_path / "environ"
    entries = [
        "PUBLIC_IPADDR=203.0.113.7 ",
        "VAST_TCP_PORT_8443=33526",
        "CONTAINER_API_KEY=k=1",
        "UNDERSTUDY_PERSONA__NAME=Ada\nLovelace $(touch hacked) `x`",
        "UNDERSTUDY_LLM__ENGINE=openai",
        "LD_PRELOAD=/tmp/evil.so",
        "BASH_FUNC_x%%=() { :; }",
    ]
    environ.write_bytes(b"".join(entry.encode() + b"\0" for entry in entries))
    said = bash(
        'import_environment "$1"; env -0 | tr "\\n\\0" "~\\n"',
        environ,
        environment={"UNDERSTUDY_LLM__ENGINE": "llama_cpp"},
    ).splitlines()
    assert {"PUBLIC_IPADDR=203.0.113.7 ", "VAST_TCP_PORT_8443=33526", "CONTAINER_API_KEY=k=1"} <= set(said)
    assert "UNDERSTUDY_PERSONA__NAME=Ada~Lovelace $(touch hacked) `x`" in said
    assert "UNDERSTUDY_LLM__ENGINE=llama_cpp" in said, "what is set here wins"
    assert not [line for line in said if line.startswith(("LD_PRELOAD", "BASH_FUNC_x"))]


def test_a_first_process_that_may_not_be_read_changes_nothing(tmp_path: Path) -> None:
    assert bash('import_environment "$1"; echo well', tmp_path / "none") == "well\n"


@pytest.mark.parametrize(
    ("mounted", "missing"),
    [
        ("libcuda.so.570.86.10", ["libcuda.so.1", "libcuda.so"]),
        ("libcuda.so", ["libcuda.so.1"]),
        ("libcuda.so.1", ["libcuda.so"]),
    ],
)
def test_the_driver_is_found_by_every_name(tmp_path: Path, mounted: str, missing: list[str]) -> None:
    (tmp_path / mounted).write_text("driver")
    for _ in range(2):
        bash('link_libcuda "$1" "$2"', tmp_path, tmp_path / "nowhere")
        assert [(tmp_path / name).read_text() for name in missing] == ["driver"] * len(missing)
        assert (tmp_path / mounted).read_text() == "driver" and not (tmp_path / mounted).is_symlink()


def test_a_folder_without_a_driver_stays_empty(tmp_path: Path) -> None:
    bash('link_libcuda "$1"', tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_forward_compatibility_library_goes_out_of_the_way_once(tmp_path: Path) -> None:
    cuda = tmp_path / "cuda-12.8"
    (cuda / "compat").mkdir(parents=True)
    (tmp_path / "cuda").symlink_to(cuda)
    for _ in range(2):
        bash('move_compat_away "$1" "$2"', tmp_path / "cuda", cuda)
        assert [entry.name for entry in cuda.iterdir()] == ["compat.unused"]


@pytest.mark.parametrize("systemd", [True, False])
def test_the_package_of_the_turn_server_starts_none_of_its_own(tmp_path: Path, systemd: bool) -> None:
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    run = tmp_path / "run"
    if systemd:
        run.mkdir()
    said = bash('silence_coturn "$1"', run, environment={"PATH": f"{program.parent}:{os.environ['PATH']}"})
    assert said == ("disable --now coturn\n" if systemd else "")


def test_threads_are_limited_unless_somebody_said_otherwise() -> None:
    said = bash("limit_threads; env", environment={"MKL_NUM_THREADS": "3"}).splitlines()
    assert {"OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "NUMEXPR_NUM_THREADS=1", "MKL_NUM_THREADS=3"} <= set(said)


def test_a_machine_without_a_way_out_is_noticed() -> None:
    script = 'if reaches_network "$1" http://127.0.0.1:1/ nonsense; then echo out; else echo none; fi'
    assert bash(script, sys.executable) == "none\n"


def test_any_answer_shows_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "answer").write_text("well")
    script = 'if reaches_network "$1" http://127.0.0.1:1/ "file://$2/answer"; then echo out; else echo none; fi'
    assert bash(script, sys.executable, tmp_path) == "out\n"


def test_a_machine_without_cuda_says_so() -> None:
    assert bash('cuda_answer "$1"', shutil.which("false") or "false") == "missing\n"


def test_a_start_without_network_ends_with_one_sentence(tmp_path: Path) -> None:
    """As far as the network, in a copy without an environment of its own."""
    source = tmp_path / "source"
    for name in SCRIPTS:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    nowhere = "http://127.0.0.1:1"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "UNDERSTUDY_MACHINE__DIR": str(tmp_path / "state"),
        "PIP_INDEX_URL": nowhere,
        "PIP_NO_INDEX": "1",
        "HF_ENDPOINT": nowhere,
        "https_proxy": nowhere,
    }
    done = subprocess.run(
        ["bash", "deploy/onstart.sh"], cwd=source, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert " network failed: This machine reaches nothing outside" in last and last.endswith("or set a proxy.")
    assert (tmp_path / "state/progress").read_text().splitlines()[-1] == last
