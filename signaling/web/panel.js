/** The diagnostics panel: folds away (remembered), and shows the last turn, the engines, the media, the connection. */

import { engineFigure } from "./engines.js";
import { bitrate, figure, isLipErrorNoticed, lipError, remember, sparklinePoints } from "./stats.js";
import { layOut, renderWaterfall } from "./waterfall.js";

const FOLD_KEY = "understudy.panel";
const SPARK_WIDTH = 140;
const SPARK_HEIGHT = 36;

export class Panel {
  #root = document.getElementById("panel");
  #toggle = document.getElementById("panel-toggle");
  #layout = document.getElementById("layout");
  #history = {};

  constructor() {
    this.#toggle.addEventListener("click", () => this.#open(this.#root.hidden));
    document.getElementById("panel-close").addEventListener("click", () => {
      this.#open(false);
      this.#toggle.focus();
    });
    this.#open(remembered());
  }

  get isOpen() {
    return !this.#root.hidden;
  }

  /** Draw the last turn: {moments_ms, heard_ms, reason}. */
  showTurn({ moments_ms, heard_ms, reason }) {
    const layout = layOut(moments_ms, heard_ms);
    const list = document.getElementById("waterfall");
    renderWaterfall(list, layout);
    list.hidden = layout.rows.length === 0;
    const none = document.getElementById("turn-none");
    none.hidden = layout.rows.length > 0;
    none.textContent = `The last turn was ${reason} before its first stage.`;
    document.getElementById("turn-total").hidden = layout.total_ms === null;
    document.getElementById("turn-total-value").textContent = figure(layout.total_ms, "ms");
    document.getElementById("turn-total-text").textContent =
      "end_of_speech" in moments_ms ? "from end of speech to first packet" : "from typed line to first packet";
  }

  /** Draw the media figures of stats.js. */
  showStats({ video, audio, rtt_ms, path, sound_late_ms }) {
    this.#set("video_bitrate", bitrate(video?.bitrate_bps));
    this.#set("fps", figure(video?.fps, "fps"));
    this.#set("resolution", video?.width_px ? `${video.width_px} × ${video.height_px}` : "–");
    this.#set("video_codec", video?.codec ?? "–");
    this.#set("video_lost", figure(video?.lost_percent, "%", 1));
    this.#set("video_jitter", figure(video?.jitter_ms, "ms"));
    this.#set("video_buffer", short(video?.buffer_ms));
    this.#set("freezes", figure(video?.freezes));
    this.#set("audio_bitrate", bitrate(audio?.bitrate_bps));
    this.#set("audio_codec", audio?.codec ?? "–");
    this.#set("audio_lost", figure(audio?.lost_percent, "%", 1));
    this.#set("audio_jitter", figure(audio?.jitter_ms, "ms"));
    this.#set("audio_buffer", short(audio?.buffer_ms));
    this.#set("concealed", figure(audio?.concealed_percent, "%", 1));
    this.#set("lip_error", lipError(sound_late_ms), sound_late_ms !== null && isLipErrorNoticed(sound_late_ms));
    this.#set("rtt", short(rtt_ms));
    this.#set("path", path ? `${path.local} to ${path.remote}, ${path.protocol ?? "?"}` : "–");
    this.#spark("video_bitrate", video?.bitrate_bps);
    this.#spark("fps", video?.fps);
    this.#spark("audio_bitrate", audio?.bitrate_bps);
    this.#spark("audio_buffer", audio?.buffer_ms);
  }

  /** Draw the connection's status (Call.status) and the state in words. */
  showConnection(status, state_text, ping_rtt_ms) {
    this.#set("state", state_text);
    this.#set("signaling", status.signaling, status.signaling === "lost");
    this.#set("channel", status.channel);
    this.#set("peers", status.roles.length > 0 ? status.roles.toSorted().join(", ") : "–");
    this.#set("ping", short(ping_rtt_ms));
  }

  /** Draw who does what (a services message). */
  showEngines(engines) {
    for (const kind of ["llm", "tts", "face"]) {
      const { text, is_bad } = engineFigure(engines, kind);
      this.#set(`engine_${kind}`, text, is_bad);
    }
  }

  #open(open) {
    this.#root.hidden = !open;
    this.#toggle.setAttribute("aria-expanded", String(open));
    this.#layout.classList.toggle("has-panel", open);
    try {
      localStorage.setItem(FOLD_KEY, open ? "open" : "folded");
    } catch {
      // Storage is switched off: the panel starts folded next time.
    }
  }

  #set(name, text, is_bad = false) {
    const element = this.#root.querySelector(`[data-figure="${name}"]`);
    if (element.textContent !== text) element.textContent = text;
    element.classList.toggle("is-bad", is_bad);
  }

  #spark(name, value) {
    this.#history[name] = remember(this.#history[name] ?? [], value ?? null);
    const line = this.#root.querySelector(`[data-spark="${name}"] polyline`);
    line.setAttribute("points", sparklinePoints(this.#history[name], SPARK_WIDTH, SPARK_HEIGHT));
  }
}

/** A short time in ms, with a decimal below 10. */
const short = (ms) => figure(ms, "ms", ms < 10 ? 1 : 0);

function remembered() {
  try {
    return localStorage.getItem(FOLD_KEY) === "open";
  } catch {
    return false;
  }
}
