/** Levels of sound: the double's, for the ring and for "first sound heard", and the microphone's, for its meter. */

const FLOOR_DB = -60;
const TOP_DB = -12;
const HEARD_DB = -50;
const QUIET_BEFORE_MS = 60;

/** Root mean square of samples, in dB below full scale. */
export function levelDb(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return 10 * Math.log10(sum / samples.length + 1e-12);
}

/** A level as a share of a meter, 0 to 1. */
export function meterShare(level_db) {
  return Math.min(1, Math.max(0, (level_db - FLOOR_DB) / (TOP_DB - FLOOR_DB)));
}

/**
 * Finds the first sound of an answer. It is armed when a line is sent; sound counts only after a short silence, so
 * that the end of an interrupted answer is not taken for the beginning of the next.
 */
export class FirstSound {
  #armed_ms = null;
  #quiet_since_ms = null;
  heard_ms = null;

  get isArmed() {
    return this.#armed_ms !== null && this.heard_ms === null;
  }

  arm(now_ms) {
    this.#armed_ms = now_ms;
    this.#quiet_since_ms = null;
    this.heard_ms = null;
  }

  disarm() {
    this.#armed_ms = null;
    this.heard_ms = null;
  }

  /** Take a level measured now. */
  level(level_db, now_ms) {
    if (!this.isArmed) return;
    if (level_db < HEARD_DB) {
      this.#quiet_since_ms ??= now_ms;
      return;
    }
    const was_quiet = this.#quiet_since_ms !== null && now_ms - this.#quiet_since_ms >= QUIET_BEFORE_MS;
    if (was_quiet) this.heard_ms = now_ms - this.#armed_ms;
    else this.#quiet_since_ms = null;
  }
}

/** Measures a MediaStream with an AnalyserNode; nothing of it is played. */
export class LevelMeter {
  #analyser;
  #source;
  #samples;

  constructor(context, stream) {
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = 1024; // 21 ms at 48 kHz
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source = context.createMediaStreamSource(stream);
    this.#source.connect(this.#analyser);
  }

  /** Level of the last 21 ms, in dB below full scale. */
  read() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return levelDb(this.#samples);
  }

  close() {
    this.#source.disconnect();
  }
}
