/** Draws the conversation as a list, touching only the entries that changed. */

const MARKS = {
  pending: "sending",
  interrupted: "interrupted",
  failed: "broke off",
  lost: "connection lost",
};

const FOLLOW_WITHIN_PX = 80;

export class ConversationView {
  #list;
  #empty;
  #drawn = new Map();

  constructor(list, empty) {
    this.#list = list;
    this.#empty = empty;
  }

  /** Show the entries; the list follows its end unless the reader scrolled up. */
  render(entries, double_name) {
    const follows = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < FOLLOW_WITHIN_PX;
    const ids = new Set(entries.map(({ id }) => id));
    for (const [id, { item }] of this.#drawn) {
      if (ids.has(id)) continue;
      item.remove();
      this.#drawn.delete(id);
    }
    let changed = false;
    for (const entry of entries) {
      const drawn = this.#drawn.get(entry.id);
      if (drawn?.entry === entry) continue;
      const item = drawn?.item ?? this.#list.appendChild(document.createElement("li"));
      draw(item, entry, double_name);
      this.#drawn.set(entry.id, { item, entry });
      changed = true;
    }
    this.#empty.hidden = entries.length > 0;
    if (changed && follows) this.#list.scrollTop = this.#list.scrollHeight;
  }
}

function draw(item, entry, double_name) {
  item.className = "entry";
  item.dataset.who = entry.who;
  item.dataset.status = entry.status;
  const who = document.createElement("span");
  who.className = "entry-who";
  who.textContent = entry.who === "user" ? "You" : double_name;
  const text = document.createElement("p");
  text.className = "entry-text";
  text.textContent = entry.text || "…";
  item.replaceChildren(who, text);
  if (!(entry.status in MARKS)) return;
  const mark = document.createElement("span");
  mark.className = "entry-mark";
  mark.textContent = MARKS[entry.status];
  item.append(mark);
}
