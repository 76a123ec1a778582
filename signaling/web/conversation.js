/** What was said by whom, kept as a list. Rules only; conversation_view.js draws it. */

const KEPT_ENTRIES = 400;

/**
 * Entries are {id, who, text, status}: `who` is user or double; `status` is pending (sent, not yet confirmed) or said
 * for the user, and speaking, finished, interrupted, failed or lost for the double.
 */
export class Conversation {
  #entries = [];
  #next_id = 0;
  #partial = null;

  get entries() {
    return this.#entries;
  }

  /** Speech that is still being understood, or null. */
  get partial() {
    return this.#partial;
  }

  /** The user sent a typed line. */
  typed(text) {
    this.#add({ who: "user", text, status: "pending" });
  }

  /** The double understood something (a user_text message). */
  understood({ text, final, source }) {
    if (!final) {
      this.#partial = text;
      return;
    }
    if (source === "spoken") this.#partial = null;
    const is_sent = (entry) => source === "typed" && entry.status === "pending" && entry.text === text;
    const sent = this.#entries.find(is_sent); // Others in the room type too: only one's own line is confirmed.
    if (sent) this.#replace(sent, { status: "said" });
    else if (text.trim() !== "") this.#add({ who: "user", text, status: "said" });
  }

  /** The double says a clause (a caption message), perhaps one that it was stopped in before. */
  caption({ turn_id, index, text }) {
    const entry = this.#entries.find((one) => one.status === "speaking" && one.turn_id === turn_id);
    if (!entry) this.#add({ who: "double", text, status: "speaking", turn_id, index });
    else if (index > entry.index) this.#replace(entry, { text: `${entry.text} ${text}`, index });
  }

  /** A turn is over (a turn_ended message): its text is what was really said. */
  turnEnded({ turn_id, reason, text }) {
    const entry = this.#entries.find((one) => one.status === "speaking" && one.turn_id === turn_id);
    if (entry) this.#replace(entry, { text, status: reason });
    else if (text.trim() !== "" || reason === "failed") this.#add({ who: "double", text, status: reason, turn_id });
  }

  /** The connection broke: what was under way will not be finished, and turn ids may start anew. */
  connectionLost() {
    this.#partial = null;
    for (const entry of this.#entries) {
      if (entry.status === "speaking" || entry.status === "pending") this.#replace(entry, { status: "lost" });
    }
  }

  #add(entry) {
    this.#entries = [...this.#entries, Object.freeze({ id: this.#next_id++, ...entry })].slice(-KEPT_ENTRIES);
  }

  #replace(entry, change) {
    this.#entries = this.#entries.map((one) => (one.id === entry.id ? Object.freeze({ ...one, ...change }) : one));
  }
}
