"""A person at the page: real Chromium, the real programs, real models. Run as part of `make test`."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from signaling import protocol
from tests.bench.product import ROOM, Product, running
from tests.viewer import Viewer

pytestmark = [pytest.mark.browser, pytest.mark.weights]

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required "
    "--use-fake-ui-for-media-stream --use-fake-device-for-media-stream --disable-features=WebRtcHideLocalIpsWithMdns "
    "--disable-background-timer-throttling --disable-renderer-backgrounding --disable-audio-output"
).split()

ANSWER_TIMEOUT_S = 40.0
SILENT, AUDIBLE = 0.003, 0.01
"""Loudness (RMS) below which a person hears nothing, and above which speech is heard."""

WATCH = """() => {
  const video = document.querySelector('[data-testid=video]');
  const audio = new AudioContext();
  const analyser = audio.createAnalyser();
  audio.createMediaStreamSource(video.srcObject).connect(analyser);
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 128;
  const drawing = canvas.getContext('2d', {willReadFrequently: true});
  const wave = new Float32Array(analyser.fftSize);
  let before = null;
  window.watched = {};
  setInterval(() => {
    analyser.getFloatTimeDomainData(wave);
    window.watched.loudest = Math.max(window.watched.loudest, Math.hypot(...wave) / Math.sqrt(wave.length));
    drawing.drawImage(video, 0, 0, 128, 128);
    const now = drawing.getImageData(0, 0, 128, 128).data;
    if (before) {
      let difference = 0;
      for (let i = 0; i < now.length; i += 4) difference += Math.abs(now[i + 1] - before[i + 1]);
      window.watched.looks += 1;
      window.watched.moving += difference > 0;
    }
    before = now;
  }, 40);
}"""


def chromium() -> str:
    """Where a Chromium or Chrome is installed."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    pytest.fail("No Chromium was found; `make test` installs it, or install Chromium or Chrome yourself.")


@asynccontextmanager
async def page_of(product: Product) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = await browser.new_page(viewport={"width": 1280, "height": 860})
        try:
            await page.goto(f"{product.url}/#room={ROOM}&token={product.token()}")
            yield page
        finally:
            await browser.close()


async def watched(page: Page, seconds: float) -> tuple[float, float]:
    """The loudest sound (RMS), and the share of looks 40 ms apart in which the picture moved, from now on."""
    await page.evaluate("() => Object.assign(window.watched, {loudest: 0, looks: 0, moving: 0})")
    await page.wait_for_timeout(seconds * 1_000)
    result = await page.evaluate("() => window.watched")
    return result["loudest"], result["moving"] / max(1, result["looks"])


async def loudness(page: Page, seconds: float) -> float:
    return (await watched(page, seconds))[0]


async def in_state(page: Page, *wanted: str, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
    text = page.get_by_test_id("state")
    expression = "(states) => states.includes(window.understudy.state)"
    for _ in range(int(timeout_s / 0.1)):
        if await page.evaluate(expression, list(wanted)):
            return
        await page.wait_for_timeout(100)
    raise AssertionError(f"still {await text.inner_text()} instead of {wanted}")


async def ask(page: Page, line: str) -> None:
    await page.get_by_test_id("input").fill(line)
    await page.get_by_test_id("input").press("Enter")


async def test_a_person_types_a_question_watches_the_answer_and_stops_the_next(tmp_path: Path) -> None:
    pictures = Path(os.environ.get("TEST_PICTURES", tmp_path))
    async with running() as product, page_of(product) as page:
        faults: list[Any] = []
        page.on("pageerror", lambda fault: faults.append(fault))
        await in_state(page, "listening")
        await page.wait_for_timeout(1_000)
        await page.evaluate(WATCH)

        loudest, moving = await watched(page, 4)
        assert moving > 0.5, "the face stands still while idle"
        assert loudest < SILENT, "there is sound although nobody speaks"

        await ask(page, "Which season do you like best, and why?")
        await in_state(page, "speaking")
        loudest, moving = await watched(page, 1.5)
        assert loudest > AUDIBLE, "the answer is not heard"
        assert moving > 0.5, "the face stands still while it speaks"
        caption = await page.get_by_test_id("caption").inner_text()
        assert len(caption.split()) >= 1
        await page.screenshot(path=pictures / "speaking.png")

        await in_state(page, "listening")
        await page.wait_for_timeout(600)
        assert await loudness(page, 1) < SILENT, "sound goes on after the answer"
        log = await page.evaluate("() => window.understudy.log")
        assert [entry["who"] for entry in log][:2] == ["user", "double"]

        await ask(page, "Please tell me a long story about the sea.")
        await in_state(page, "speaking")
        await page.wait_for_timeout(700)
        await page.get_by_test_id("stop").click()
        await in_state(page, "listening", timeout_s=3)
        await page.wait_for_timeout(400)
        assert await loudness(page, 1) < SILENT, "it talks on after Stop"
        turn = await page.evaluate("() => window.understudy.lastTurn")
        assert turn["reason"] == "interrupted"

        await page.get_by_test_id("panel-toggle").click()
        await page.wait_for_timeout(1_500)
        stats = await page.get_by_test_id("stats").inner_text()
        assert "VP8" in stats and "512" in stats
        assert await page.get_by_test_id("waterfall").is_visible()
        await page.screenshot(path=pictures / "panel.png")
        assert not faults


FAKES = {
    f"UNDERSTUDY_{kind}__ENGINE": name
    for kind, name in (("LLM", "scripted"), ("TTS", "tone"), ("ASR", "scripted"), ("TURN", "always"))
} | {"UNDERSTUDY_FACE__ENGINE": "counter"}


async def test_a_page_shows_a_held_answer_as_listening_and_each_of_its_words_once() -> None:
    words = "This is a rather long line, which goes on for a while, so that it can be held in between."
    async with running(FAKES) as product, page_of(product) as page:
        await in_state(page, "listening", timeout_s=15)
        async with Viewer(product.url, ROOM, product.token("operator")) as operator:
            operator.send(protocol.Speak(text=words, answers="Say something."))
            caption = await operator.until(protocol.Caption, index=1)
            operator.send(protocol.Hold())
            await in_state(page, "listening", timeout_s=3)
            shown = await page.get_by_test_id("caption").inner_text()
            assert words.split()[-1] not in shown
            operator.send(protocol.Resume(turn_id=caption.turn_id, samples=caption.start_samples))
            await in_state(page, "speaking", timeout_s=3)
            await operator.until(protocol.TurnEnded)
            await in_state(page, "listening", timeout_s=3)
        log = await page.evaluate("() => window.understudy.log")
        assert [(entry["who"], entry["text"]) for entry in log] == [("user", "Say something."), ("double", words)]
        assert words.split()[-1] in await page.get_by_test_id("caption").inner_text()


async def test_a_wrong_link_gets_one_sentence_and_a_field() -> None:
    async with running(FAKES) as product, page_of(product) as page:
        await page.goto("about:blank")
        await page.goto(f"{product.url}/#room={ROOM}&token=1.bench.viewer.99.wrong")
        sentence = page.locator("#gate-text")
        await sentence.wait_for(state="visible")
        assert "was refused" in await sentence.inner_text()
        assert await page.get_by_test_id("token").is_visible()
        await page.get_by_test_id("token").fill(product.token())
        await page.get_by_test_id("join").click()
        await in_state(page, "listening", timeout_s=15)
