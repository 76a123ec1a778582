/** One turn as a waterfall: which stage took how long, from the end of speech to the first packet. */

/** The stages in the order of the pipeline (TurnEnded in signaling/protocol.py). */
export const STAGES = Object.freeze([
  ["end_of_speech", "End of speech"],
  ["transcript", "Transcript"],
  ["first_token", "First token"],
  ["first_clause", "First clause"],
  ["first_sample", "First sound made"],
  ["first_picture", "First picture"],
  ["first_packet", "First packet"],
]);

/**
 * Lay a turn out: rows of {key, label, start_ms, end_ms, left_percent, width_percent} and total_ms, the moment of the
 * first packet or null. A bar runs from the stage before it to its own moment; a stage that worked ahead of the one
 * before it starts at its own moment. `heard_ms` is this browser's own measurement, or null.
 */
export function layOut(moments_ms, heard_ms = null) {
  const reached = STAGES.filter(([key]) => Number.isFinite(moments_ms[key])).map(([key, label]) => [
    key,
    label,
    moments_ms[key],
  ]);
  if (heard_ms !== null) reached.push(["heard", "Heard here", heard_ms]);
  const ends = reached.map(([, , at_ms]) => at_ms);
  const first_ms = Math.min(0, ...ends);
  const span_ms = Math.max(0, ...ends) - first_ms || 1;
  let before_ms = 0;
  const rows = reached.map(([key, label, at_ms]) => {
    const start_ms = Math.min(before_ms, at_ms);
    const end_ms = Math.max(before_ms, at_ms);
    before_ms = at_ms;
    return {
      key,
      label,
      at_ms,
      start_ms,
      end_ms,
      left_percent: (100 * (start_ms - first_ms)) / span_ms,
      width_percent: (100 * (end_ms - start_ms)) / span_ms,
    };
  });
  return { rows, zero_percent: (-100 * first_ms) / span_ms, total_ms: moments_ms.first_packet ?? null };
}

/** Draw a layout into an element; every bar has its label and its figure as text. */
export function renderWaterfall(element, { rows, zero_percent }) {
  element.style.setProperty("--zero", `${zero_percent}%`);
  element.replaceChildren(
    ...rows.map((row) => {
      const item = document.createElement("li");
      item.className = "waterfall-row";
      item.dataset.stage = row.key;
      const label = document.createElement("span");
      label.className = "waterfall-label";
      label.textContent = row.label;
      const lane = document.createElement("span");
      lane.className = "waterfall-lane";
      const bar = document.createElement("span");
      bar.className = "waterfall-bar";
      bar.style.setProperty("--left", `${row.left_percent}%`);
      bar.style.setProperty("--width", `${row.width_percent}%`);
      if (row.key === "first_packet") {
        // Behind the last bar the whole way from zero, because that is the figure people ask for.
        const whole = document.createElement("span");
        whole.className = "waterfall-whole";
        const end_percent = row.left_percent + (row.at_ms === row.end_ms ? row.width_percent : 0);
        whole.style.setProperty("--left", `${Math.min(zero_percent, end_percent)}%`);
        whole.style.setProperty("--width", `${Math.abs(end_percent - zero_percent)}%`);
        lane.append(whole);
      }
      lane.append(bar);
      const value = document.createElement("span");
      value.className = "waterfall-value";
      value.textContent = `${Math.round(row.at_ms).toLocaleString("en")} ms`;
      item.append(label, lane, value);
      return item;
    }),
  );
}
