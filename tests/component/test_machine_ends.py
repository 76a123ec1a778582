"""The programs that end a rented machine, against an API that keeps Vast.ai's rules."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.machine.keys import write_variables
from tests.processes import stop
from tests.vast_api import KEY, FakeVast
from tests.vast_serving import serving

ROOT = Path(__file__).resolve().parents[2]
START_S = 20.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the machine is one with Linux")


@pytest.fixture
def vast() -> Iterator[FakeVast]:
    with serving(FakeVast()) as found:
        yield found


@pytest.fixture
def rented(vast: FakeVast, tmp_path: Path) -> dict[str, str]:
    """The variables of a machine that has just been rented and may run for a tenth of a second."""
    order = {
        "client_id": "me",
        "image": "debian:12",
        "disk": 80,
        "runtype": "ssh_direc ssh_proxy",
        "env": {},
        "label": "x",
    }
    answer = vast.handle("PUT", "/api/v0/asks/1/", KEY, order)
    assert answer is not None and answer.status == 200, answer
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "VAST_URL": vast.url,
        "CONTAINER_ID": str(answer.body["new_contract"]),
        "CONTAINER_API_KEY": answer.body["instance_api_key"],
        "UNDERSTUDY_MACHINE__DIR": str(tmp_path / "machine"),
        "UNDERSTUDY_MACHINE__AT_END": "destroy",
        "UNDERSTUDY_MACHINE__MAX_HOURS": str(0.1 / 3_600),
    }


async def start(module: str, *arguments: str, environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, env=environment, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )


async def test_the_watchdog_gives_the_machine_back(vast: FakeVast, rented: dict[str, str], tmp_path: Path) -> None:
    assert vast.rented
    variables = tmp_path / "machine" / "machine.env"
    write_variables(variables, rented)
    bare = {name: rented[name] for name in ("PATH", "HOME", "UNDERSTUDY_MACHINE__DIR")}
    watchdog = await start("deploy.machine", "watchdog", environment=bare)
    try:
        async with asyncio.timeout(START_S):
            assert await watchdog.wait() == 0
    finally:
        await stop(watchdog, 2.0)
    assert vast.rented == []
    assert watchdog.stderr is not None
    said = (await watchdog.stderr.read()).decode()
    assert "machine_ends" in said and rented["CONTAINER_API_KEY"] not in said


async def test_a_start_that_came_to_nothing_gives_the_machine_back(vast: FakeVast, rented: dict[str, str]) -> None:
    environment = rented | {"UNDERSTUDY_MACHINE__MAX_HOURS": "0", "UNDERSTUDY_MACHINE__START_MINUTES": "0.0000001"}
    fuse = await start("deploy.machine.fuse", environment=environment)
    try:
        async with asyncio.timeout(START_S):
            assert await fuse.wait() == 0
    finally:
        await stop(fuse, 2.0)
    assert vast.rented == []


async def test_one_fuse_is_enough(vast: FakeVast, rented: dict[str, str], tmp_path: Path) -> None:
    environment = rented | {"UNDERSTUDY_MACHINE__MAX_HOURS": "1"}
    first = await start("deploy.machine.fuse", environment=environment)
    try:
        async with asyncio.timeout(START_S):
            while not (tmp_path / "machine" / "began").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            second = await start("deploy.machine.fuse", environment=environment)
            assert await second.wait() == 0
        assert first.returncode is None and vast.rented
    finally:
        await stop(first, 2.0)
    assert first.returncode == -signal.SIGTERM
