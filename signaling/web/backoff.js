/** How long to wait before trying again: doubling, bounded, with jitter so that many pages do not return at once. */

export const FIRST_WAIT_MS = 500;
export const LONGEST_WAIT_MS = 8000;

/** Counts failures in a row and says how long to wait after each. */
export class Backoff {
  #failures = 0;
  #random;

  /** `random` gives numbers in [0, 1). */
  constructor(random = Math.random) {
    this.#random = random;
  }

  get failures() {
    return this.#failures;
  }

  /** Count a failure; returns the wait in ms, 75 to 100 % of the step. */
  failed() {
    const step_ms = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures);
    this.#failures += 1;
    return step_ms * (0.75 + 0.25 * this.#random());
  }

  succeeded() {
    this.#failures = 0;
  }
}
