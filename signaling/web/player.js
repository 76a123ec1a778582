/** Plays the double's picture and sound, within the browser's rule that sound needs a gesture first. */

import { LevelMeter } from "./sound.js";

const HUSH_LONGEST_MS = 1500;
const SILENCE_DB = -120;
const GESTURES = ["pointerdown", "keydown", "touchend"];

export class Player {
  #video;
  #unlock;
  #frame;
  #context = null;
  #meter = null;
  #meter_stream = null;
  #hush_timer = null;
  #starts = 0;

  constructor(video, unlock, frame) {
    this.#video = video;
    this.#unlock = unlock;
    this.#frame = frame;
    for (const gesture of GESTURES) document.addEventListener(gesture, () => this.#gesture(), { capture: true });
    video.addEventListener("resize", () => {
      const { videoWidth, videoHeight } = video;
      if (videoWidth > 0) frame.style.setProperty("--aspect", String(videoWidth / videoHeight));
    });
    for (const event of ["playing", "loadeddata", "emptied"]) video.addEventListener(event, () => this.#showPicture());
  }

  /** Play these tracks from now on; an empty list stops. */
  play(tracks) {
    this.#meter?.close();
    this.#meter = null;
    this.#meter_stream = null;
    this.unhush();
    this.#starts += 1;
    if (tracks.length === 0) {
      this.#video.srcObject = null;
      this.#unlock.hidden = true;
      this.#showPicture();
      return;
    }
    this.#video.srcObject = new MediaStream(tracks);
    const sound = tracks.filter((track) => track.kind === "audio");
    if (sound.length > 0) this.#meter_stream = new MediaStream(sound);
    this.#start();
  }

  /** One AudioContext for the whole page; it runs only after a gesture, or where autoplay is allowed. */
  get context() {
    this.#context ??= new AudioContext();
    if (this.#context.state === "suspended") this.#context.resume().catch(() => {});
    return this.#context;
  }

  /** Level of the double's sound in dB below full scale. */
  levelDb() {
    if (this.#meter === null && this.#meter_stream !== null && !this.#video.muted && !this.#video.paused) {
      this.#meter = new LevelMeter(this.context, this.#meter_stream);
    }
    return this.#meter?.read() ?? SILENCE_DB;
  }

  /** Silence at once, before the double has heard of the interruption. */
  hush() {
    this.#video.volume = 0;
    clearTimeout(this.#hush_timer);
    this.#hush_timer = setTimeout(() => this.unhush(), HUSH_LONGEST_MS);
  }

  /** Let sound be heard again, `wait_ms` from now: what the jitter buffer still holds has then gone by. */
  unhush(wait_ms = 0) {
    clearTimeout(this.#hush_timer);
    if (wait_ms > 0) this.#hush_timer = setTimeout(() => this.unhush(), wait_ms);
    else this.#video.volume = 1;
  }

  async #start() {
    const start = ++this.#starts;
    this.#video.muted = false;
    try {
      await this.#video.play();
      if (start === this.#starts) this.#unlock.hidden = true;
    } catch (problem) {
      if (start !== this.#starts || problem.name !== "NotAllowedError") return; // A newer stream took its place.
      this.#unlock.hidden = false;
      this.#video.muted = true;
      this.#video.play().catch(() => {});
    }
  }

  #gesture() {
    if (this.#context?.state === "suspended") this.#context.resume().catch(() => {});
    if (!this.#unlock.hidden && this.#video.srcObject !== null) this.#start();
  }

  #showPicture() {
    const shows = this.#video.srcObject !== null && this.#video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    this.#frame.classList.toggle("has-picture", shows);
  }
}
