/** The microphone's button: on and off, with a live level. */

import { openMicrophone } from "./microphone.js";
import { LevelMeter, meterShare } from "./sound.js";

const BAR_SHAPE = [0.55, 0.85, 1, 0.85, 0.55];

export class MicrophoneButton {
  #button;
  #bars;
  #on;
  #stream = null;
  #meter = null;
  #starting = false;

  /** `on` has `context()` (the page's AudioContext), `changed(track or null)` and `problem(sentence)`. */
  constructor(button, on) {
    this.#button = button;
    this.#bars = [...button.querySelectorAll(".meter i")];
    this.#on = on;
    button.addEventListener("click", () => this.toggle());
  }

  toggle() {
    if (this.#stream === null) this.#switchOn();
    else this.off();
  }

  off() {
    if (this.#stream === null) return;
    this.#meter?.close();
    for (const track of this.#stream.getTracks()) track.stop();
    this.#stream = null;
    this.#meter = null;
    this.#show(false);
    this.#on.changed(null);
  }

  /** Draw the level; called for every picture of the page. */
  draw() {
    if (this.#meter === null) return;
    const share = meterShare(this.#meter.read());
    this.#bars.forEach((bar, index) => {
      bar.style.setProperty("--height", (0.14 + 0.86 * share * BAR_SHAPE[index]).toFixed(2));
    });
  }

  async #switchOn() {
    if (this.#starting) return;
    this.#starting = true;
    this.#button.setAttribute("aria-busy", "true");
    try {
      const stream = await openMicrophone();
      const [track] = stream.getAudioTracks();
      track.addEventListener("ended", () => {
        this.off();
        this.#on.problem("The microphone was unplugged or switched off; you can type instead.");
      });
      this.#stream = stream;
      this.#meter = new LevelMeter(this.#on.context(), stream);
      this.#show(true);
      this.#on.changed(track);
    } catch (problem) {
      this.#on.problem(problem.message);
    } finally {
      this.#starting = false;
      this.#button.removeAttribute("aria-busy");
    }
  }

  #show(is_on) {
    this.#button.setAttribute("aria-pressed", String(is_on));
    this.#button.setAttribute("title", is_on ? "Microphone is on (M)" : "Microphone is off (M)");
  }
}
