/** How well the double's engines are (a services message), in a person's words. Rules only. */

const JOBS = { llm: "language model", tts: "voice", face: "face" };

const REASONS = {
  failed: "failed",
  broke_off: "broke off",
  too_slow: "took too long",
  unavailable: "could not be started",
  internal_error: "has a fault",
};

const ORDER = ["down", "fallback"];

/** What a notice says: {level, text}, with level down or fallback; null when all is well or nothing is known. */
export function engineNotice(engines) {
  const level = ORDER.find((state) => engines.some((engine) => engine.state === state));
  if (!level) return null;
  const jobs = engines.filter((engine) => engine.state === level).map((engine) => JOBS[engine.kind]);
  const text = level === "down" ? `No ${listed(jobs, "no ")} at the moment` : `Fall-back ${listed(jobs)}`;
  return { level, text };
}

/** "a", "a and b", "a, b and c"; `before` stands before each but the first. */
function listed(words, before = "") {
  const [first, ...others] = words;
  return [first, ...others.map((word, index) => (index < others.length - 1 ? ", " : " and ") + before + word)].join("");
}

/** What the diagnostics say of one job: {text, is_bad}. */
export function engineFigure(engines, kind) {
  const engine = engines.find((one) => one.kind === kind);
  if (!engine) return { text: "–", is_bad: false };
  if (engine.state === "ok") return { text: engine.engine, is_bad: false };
  const reason = REASONS[engine.reason] ?? "failed";
  const text = engine.state === "down" ? `${engine.engine}: ${reason}` : `${engine.engine} (the first one ${reason})`;
  return { text, is_bad: true };
}
