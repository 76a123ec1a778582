"""Programs that tests and benches start."""

import asyncio


async def stop(process: asyncio.subprocess.Process, timeout_s: float) -> None:
    """End `process`, by force if it does not end within `timeout_s`."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(timeout_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
