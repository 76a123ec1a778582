/** The input line with Send and Stop, and the keys: Enter sends, Esc stops, M switches the microphone. */

const element = (id) => document.getElementById(id);

export class Composer {
  #line = element("line");
  #send = element("send");
  #stop = element("stop");
  #can_send = false;
  #on;

  /** `on` has `say(text)` (returns whether it was sent), `stop()` and `microphone()`. */
  constructor(on) {
    this.#on = on;
    this.#line.addEventListener("input", () => this.#update());
    this.#stop.addEventListener("click", () => on.stop());
    element("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#line.value.trim();
      if (text !== "" && on.say(text)) this.#line.value = "";
      this.#update();
    });
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Whether a line can be sent now, and whether there is something to stop. */
  enable({ can_send, can_stop }) {
    this.#can_send = can_send;
    // A focused button that is disabled drops the focus to the page; the line is where it belongs.
    if (!can_stop && document.activeElement === this.#stop) this.focus();
    this.#stop.disabled = !can_stop;
    this.#update();
  }

  /** Focus the line, but not where that would open a keyboard over the picture. */
  focus() {
    if (window.matchMedia("(pointer: fine)").matches) this.#line.focus();
  }

  #update() {
    this.#send.disabled = this.#line.value.trim() === "";
    // Not disabled without a connection: Enter must then say why nothing was sent.
    this.#send.setAttribute("aria-disabled", String(!this.#can_send));
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const writes = event.target instanceof HTMLInputElement;
    if (event.key === "Escape") {
      if (!this.#stop.disabled) this.#on.stop();
      else if (writes) event.target.blur(); // so that M reaches the microphone
    } else if (event.key.toLowerCase() === "m" && !writes && !event.repeat) {
      this.#on.microphone();
    }
  }
}
