"""A warning of the machine reaches whoever is connected, and whoever comes while it holds."""

from pathlib import Path

from signaling import protocol
from tests.loopback.theatre import theatre

LINE = "The machine of the double goes off in 5 minutes."


async def test_everybody_reads_the_warning_and_that_it_is_over(tmp_path: Path) -> None:
    file = tmp_path / "notice"
    async with theatre(remote={"notice_file": file}) as house, house.viewer() as viewer:
        file.write_text(LINE)
        assert (await viewer.until(protocol.Notice)).text == LINE
        async with house.viewer(role="operator") as operator:
            assert (await operator.until(protocol.Notice)).text == LINE
            file.unlink()
            await operator.until(protocol.Notice, text="")
        await viewer.until(protocol.Notice, text="")
