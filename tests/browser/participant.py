"""Another participant of the call: real Chromium, with the virtual microphone as its input and a loudspeaker.

It takes the microphone as a call application does, by its name, and keeps everything that it hears; what it plays goes
to the machine's default output, which is where the double's ears listen.
"""

import base64
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from playwright.async_api import Page, Route, async_playwright
from playwright.async_api import TimeoutError as PlaywrightTimeout

from models.interfaces import Samples

ORIGIN = "http://localhost/"
"""A secure context, which getUserMedia asks for; the page is given by Playwright, nothing listens there."""
FLAGS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --autoplay-policy=no-user-gesture-required --use-fake-ui-for-media-stream "
    "--disable-background-timer-throttling --disable-renderer-backgrounding"
).split()
PATIENCE_S = 20.0
BLOCK_S = 0.02
"""Of what is heard, the level is known for each piece of this length."""
SILENT, AUDIBLE = 0.003, 0.02
"""Loudness (RMS of a block) below which a person hears nothing, and above which speech is heard."""

PAGE = """<!doctype html><title>A call</title><script>
const BLOCK = 960;
const RECORDER = `
  class Recorder extends AudioWorkletProcessor {
    constructor() { super(); this.block = new Float32Array(960); this.filled = 0; }
    process([[sound]]) {
      for (const sample of sound ?? new Float32Array(128)) {
        this.block[this.filled++] = sample;
        if (this.filled === 960) { this.port.postMessage(this.block.slice()); this.filled = 0; }
      }
      return true;
    }
  }
  registerProcessor('recorder', Recorder);
`;
const AS_IT_IS = {echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1};
window.call = {
  heard: [], levels: [],
  async microphones() {
    const asking = await navigator.mediaDevices.getUserMedia({audio: true});  // names are told after the permission
    const devices = await navigator.mediaDevices.enumerateDevices();
    asking.getTracks().forEach((track) => track.stop());
    return devices.filter((device) => device.kind === 'audioinput').map(({label, deviceId}) => ({label, deviceId}));
  },
  async listen(deviceId) {
    this.audio = new AudioContext({sampleRate: 48000});
    await this.audio.audioWorklet.addModule(URL.createObjectURL(new Blob([RECORDER], {type: 'text/javascript'})));
    this.stream = await navigator.mediaDevices.getUserMedia({audio: {deviceId: {exact: deviceId}, ...AS_IT_IS}});
    const recorder = new AudioWorkletNode(this.audio, 'recorder', {channelCount: 1, channelCountMode: 'explicit'});
    recorder.port.onmessage = ({data}) => {
      this.heard.push(data);
      this.levels.push(Math.sqrt(data.reduce((sum, sample) => sum + sample * sample, 0) / data.length));
    };
    this.audio.createMediaStreamSource(this.stream).connect(recorder).connect(this.audio.destination);
    await this.audio.resume();
    return this.stream.getAudioTracks()[0].label;
  },
  async play(url) {
    const sound = await this.audio.decodeAudioData(await (await fetch(url)).arrayBuffer());
    const source = new AudioBufferSourceNode(this.audio, {buffer: sound});
    source.connect(this.audio.destination);
    const ended = new Promise((resolve) => { source.onended = resolve; });
    source.start();
    await ended;
  },
  sound(since) {
    return new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.readAsDataURL(new Blob(this.heard.slice(since)));
    });
  },
};
</script>"""


class Participant:
    """Positions in what is heard count blocks of BLOCK_S from the moment at which `listen` was called."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def microphones(self) -> dict[str, str]:
        """The id of every microphone that the browser offers, by its name."""
        found = await self._page.evaluate("() => call.microphones()")
        return {entry["label"]: entry["deviceId"] for entry in found}

    async def listen(self, device_id: str) -> str:
        """Take that microphone, unprocessed, from now on; its name, as the track tells it."""
        name: str = await self._page.evaluate("(id) => call.listen(id)", device_id)
        return name

    async def now(self) -> int:
        """The position of what comes next."""
        position: int = await self._page.evaluate("() => call.levels.length")
        return position

    async def levels(self, since: int, seconds: float) -> list[float]:
        """The loudness of every block from `since`, as soon as there are `seconds` of them."""
        count = round(seconds / BLOCK_S)
        enough = "([since, count]) => call.levels.length >= since + count"
        await self._until(enough, [since, count], "the microphone gives no sound, not even silence")
        levels: list[float] = await self._page.evaluate(
            "([from, to]) => call.levels.slice(from, to)", [since, since + count]
        )
        return levels

    async def until_audible(self, since: int) -> int:
        """Wait for the first block from `since` that a person hears; its position. Raises AssertionError."""
        first = "([since, loud]) => call.levels.findIndex((level, index) => index >= since && level > loud)"
        await self._until(f"(wanted) => ({first})(wanted) >= 0", [since, AUDIBLE], "nothing is heard")
        position: int = await self._page.evaluate(first, [since, AUDIBLE])
        return position

    async def until_silent(self, since: int, seconds: float) -> int:
        """Wait until nothing has been heard for `seconds`; where that silence began, not before `since`."""
        last = "([since, quiet]) => call.levels.findLastIndex((level, i) => i < since || level > quiet)"
        silent = f"([since, quiet, count]) => call.levels.length - ({last})([since, quiet]) > count"
        await self._until(silent, [since, SILENT, round(seconds / BLOCK_S)], "it does not become silent")
        position: int = await self._page.evaluate(last, [since, SILENT])
        return position + 1

    async def sound(self, since: int) -> Samples:
        """What was heard from `since` on, at SPEECH_RATE_HZ."""
        url: str = await self._page.evaluate("(since) => call.sound(since)", since)
        return np.frombuffer(base64.b64decode(url.partition(",")[2]), np.float32)

    async def say(self, wav: bytes) -> None:
        """Play a sound file to the end."""
        url = f"data:audio/wav;base64,{base64.b64encode(wav).decode()}"
        await self._page.evaluate("(url) => call.play(url)", url)

    async def _until(self, expression: str, argument: Any, otherwise: str) -> None:
        try:
            await self._page.wait_for_function(expression, arg=argument, polling=50, timeout=PATIENCE_S * 1_000)
        except PlaywrightTimeout:
            raise AssertionError(f"{otherwise} within {PATIENCE_S:g} s") from None


@asynccontextmanager
async def participant(browser: str, sound: Mapping[str, str]) -> AsyncIterator[Participant]:
    """Start Chromium, found at `browser`, with the sound server that the environment `sound` leads to."""

    async def answer(route: Route) -> None:
        await route.fulfill(content_type="text/html", body=PAGE)

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=browser,
            args=FLAGS,
            ignore_default_args=["--mute-audio"],
            env={**os.environ, **sound},
        )
        try:
            page = await chromium.new_page()
            await page.route(ORIGIN, answer)
            await page.goto(ORIGIN)
            yield Participant(page)
        finally:
            await chromium.close()
