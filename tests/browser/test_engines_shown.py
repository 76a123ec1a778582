"""A voice that dies amid a call: the page says so, discreetly, and says no more when it is back."""

import os
from pathlib import Path

import pytest

from tests.bench.product import running
from tests.browser.test_page import page_of
from tests.fish_server import FishServer

pytestmark = [pytest.mark.browser, pytest.mark.weights]

PATIENCE_MS = 20_000


async def test_the_page_shows_who_speaks_instead_while_the_voice_is_away() -> None:
    voice = FishServer(references={"me": (b"", "")})
    with voice:
        environment = {
            "UNDERSTUDY_LLM__ENGINE": "scripted",
            "UNDERSTUDY_ASR__ENGINE": "scripted",
            "UNDERSTUDY_FACE__ENGINE": "host",
            "UNDERSTUDY_TTS__ENGINE": "fish_speech",
            "UNDERSTUDY_TTS__FISH_SPEECH__URL": voice.url,
            "UNDERSTUDY_TTS__FISH_SPEECH__REFERENCE": "me",
            "UNDERSTUDY_TTS__FALLBACKS": "tone",
        }
        async with running(environment) as product, page_of(product) as page:
            engines = page.get_by_test_id("engines")
            await page.locator("body[data-phase=listening]").wait_for(timeout=PATIENCE_MS)
            assert await engines.is_hidden()
            await page.get_by_test_id("panel-toggle").click()
            assert await page.locator("[data-figure=engine_tts]").text_content() == "fish_speech"

            voice.kill()
            await page.get_by_test_id("input").fill("Are you still there?")
            await page.keyboard.press("Enter")
            await engines.filter(has_text="Fall-back voice").wait_for(timeout=PATIENCE_MS)
            await page.locator(".entry[data-who=double][data-status=finished]").wait_for(timeout=PATIENCE_MS)
            assert "stand-in" in await page.locator(".entry[data-who=double]").inner_text()
            assert await page.locator("[data-figure=engine_tts]").text_content() == "tone (the first one failed)"
            if pictures := os.environ.get("TEST_PICTURES"):
                await page.screenshot(path=Path(pictures) / "engines.png")

            again = FishServer(references={"me": (b"", "")})
            again.port = voice.port
            with again:
                await engines.wait_for(state="hidden", timeout=PATIENCE_MS)
                assert await page.locator("[data-figure=engine_tts]").text_content() == "fish_speech"
