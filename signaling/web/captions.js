/** Captions that follow the speech: the words of a clause appear over the time the clause takes to say. */

const LINGER_MS = 4000;
const KEPT_CLAUSES = 4;

/** When each word of a clause begins, as fractions of its duration: longer words take longer. */
export function wordStarts(words) {
  const weights = words.map((word) => word.length + 1);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  let before = 0;
  return weights.map((weight) => {
    const start = before / whole;
    before += weight;
    return start;
  });
}

/** The clauses of the turn that is being said; all times come from the caller. */
export class Captions {
  #clauses = [];
  #newest = { turn_id: -1, index: -1 };
  #came_after_ms = 0;

  /**
   * Take a caption message; `delay_ms` is how long its sound still waits in the browser's jitter buffer. A clause comes
   * with its first sample, or once more when the double goes on in the middle of it: then it began earlier.
   */
  add({ turn_id, index, text, duration_ms, at_s }, now_ms, delay_ms = 0) {
    const words = text.split(/\s+/).filter(Boolean);
    if (words.length === 0) return;
    if (turn_id !== this.#newest.turn_id || index > this.#newest.index) {
      this.#newest = { turn_id, index };
      this.#came_after_ms = now_ms - at_s * 1000;
    }
    const start_ms = Math.min(now_ms, at_s * 1000 + this.#came_after_ms) + delay_ms;
    this.#clauses = this.#clauses
      .filter((clause) => clause.turn_id === turn_id && clause.index < index)
      .slice(1 - KEPT_CLAUSES);
    this.#clauses.push({
      key: `${turn_id}.${index}`,
      index,
      turn_id,
      words,
      starts: wordStarts(words),
      start_ms,
      end_ms: start_ms + Math.max(1, duration_ms),
      cut_ms: Infinity,
    });
  }

  /** The double was interrupted: words that were not said yet will not appear. */
  cut(now_ms) {
    for (const clause of this.#clauses) if (clause.end_ms > now_ms) clause.cut_ms = Math.min(clause.cut_ms, now_ms);
  }

  clear() {
    this.#clauses = [];
  }

  /** What to show now: clauses of {key, words, said, cut}, oldest first; empty some time after the last word. */
  view(now_ms) {
    const last_ms = Math.max(...this.#clauses.map((clause) => Math.min(clause.end_ms, clause.cut_ms)));
    if (now_ms > last_ms + LINGER_MS) this.#clauses = [];
    return this.#clauses
      .filter((clause) => clause.start_ms <= Math.min(now_ms, clause.cut_ms))
      .map((clause) => {
        const until_ms = Math.min(now_ms, clause.cut_ms);
        const share = (until_ms - clause.start_ms) / (clause.end_ms - clause.start_ms);
        const said = share >= 1 ? clause.words.length : clause.starts.filter((start) => start <= share).length;
        return { key: clause.key, words: clause.words, said, cut: clause.cut_ms !== Infinity };
      });
  }
}

/** Draws captions into a two-line window that rolls up with the speech. */
export class CaptionView {
  #window;
  #roll;
  #lines = new Map();

  constructor(element) {
    this.#window = element;
    this.#roll = document.createElement("div");
    this.#roll.className = "captions-roll";
    element.append(this.#roll);
  }

  /** Show what Captions.view returned. */
  render(clauses) {
    const keys = new Set(clauses.map(({ key }) => key));
    for (const [key, line] of this.#lines) {
      if (keys.has(key)) continue;
      line.remove();
      this.#lines.delete(key);
    }
    let newest = null;
    for (const clause of clauses) {
      const line = this.#lines.get(clause.key) ?? this.#addLine(clause);
      for (let index = 0; index < line.children.length; index += 1) {
        const said = index < clause.said;
        line.children[index].classList.toggle("is-said", said);
        line.children[index].hidden = !said && clause.cut;
        if (said) newest = line.children[index];
      }
      line.classList.toggle("is-cut", clause.cut && clause.said < clause.words.length);
    }
    this.#window.classList.toggle("is-empty", clauses.length === 0);
    if (newest !== null) this.#rollTo(newest);
  }

  #addLine({ key, words }) {
    const line = document.createElement("p");
    words.forEach((word) => {
      const span = document.createElement("span");
      span.textContent = `${word} `;
      line.append(span);
    });
    this.#roll.append(line);
    this.#lines.set(key, line);
    return line;
  }

  /** Move the text so that the newest word stands in the lower of the two lines. */
  #rollTo(word) {
    const line_px = this.#window.clientHeight / 2;
    const index = Math.floor((word.offsetTop + word.offsetHeight / 2) / line_px);
    this.#roll.style.setProperty("--roll", `${-Math.max(0, index - 1) * line_px}px`);
  }
}
