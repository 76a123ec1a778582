/** The last turn with this browser's own moment, "first sound heard", beside the performer's. */

import { FirstSound } from "./sound.js";

export class TurnWatch {
  #sound = new FirstSound();
  #newest_turn_id = -1;
  #answering_turn_id = null;
  #last = null;

  /** The last turn that ended: {turn_id, reason, text, moments_ms, heard_ms}, or null. */
  get last() {
    return this.#last;
  }

  /** Whether levels are wanted. */
  get isListening() {
    return this.#sound.isArmed;
  }

  /** The user sent a line at `now_ms`: the next turn answers it. */
  sent(now_ms) {
    this.#sound.arm(now_ms);
    this.#answering_turn_id = null;
  }

  level(level_db, now_ms) {
    this.#sound.level(level_db, now_ms);
  }

  /** A clause of a turn: the first turn that is new since the line was sent is its answer. */
  caption({ turn_id }) {
    if (turn_id > this.#newest_turn_id) this.#answering_turn_id ??= turn_id;
    this.#newest_turn_id = Math.max(this.#newest_turn_id, turn_id);
  }

  ended({ turn_id, reason, text, moments_ms }) {
    const is_answer = this.#answering_turn_id === turn_id;
    this.#last = { turn_id, reason, text, moments_ms, heard_ms: is_answer ? this.#sound.heard_ms : null };
    this.#newest_turn_id = Math.max(this.#newest_turn_id, turn_id);
    if (is_answer) this.#sound.disarm();
  }

  /** A new connection: turn ids may start anew. */
  reset() {
    this.#sound.disarm();
    this.#newest_turn_id = -1;
    this.#answering_turn_id = null;
  }
}
