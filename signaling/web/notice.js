/** One sentence about what went wrong, above the input line; it goes away by itself or by a click. */

const SHOWN_MS = 8000;

export class Notice {
  #element;
  #timer = null;

  constructor(element) {
    this.#element = element;
    element.addEventListener("click", () => this.clear());
  }

  show(sentence) {
    clearTimeout(this.#timer);
    this.#element.textContent = sentence;
    this.#element.hidden = false;
    this.#timer = setTimeout(() => this.clear(), SHOWN_MS);
  }

  /** Until it is clicked away or another sentence comes. */
  keep(sentence) {
    this.show(sentence);
    clearTimeout(this.#timer);
  }

  clear() {
    clearTimeout(this.#timer);
    this.#element.hidden = true;
    this.#element.textContent = "";
  }
}
