/** From WebRTC statistics reports (W3C webrtc-stats) to the figures a person reads. Pure functions. */

const HISTORY_POINTS = 60;

/** Lip-sync error that people notice (ITU-R BT.1359): sound early by 45 ms, sound late by 125 ms. */
const SOUND_EARLY_LIMIT_MS = 45;
const SOUND_LATE_LIMIT_MS = 125;

/**
 * Work out figures from a report (an iterable of statistics objects, such as `report.values()`).
 * `previous` is the result of the call before, or null; rates and delays are over the time between the two.
 * A figure that is not known is null.
 */
export function readStats(report, previous = null) {
  const all = [...report];
  const by_id = new Map(all.map((stat) => [stat.id, stat]));
  const inbound = (kind) => all.find((stat) => stat.type === "inbound-rtp" && stat.kind === kind) ?? null;
  const video = inbound("video");
  const audio = inbound("audio");
  const pair = selectedPair(all, by_id);
  return {
    video: video && {
      ...trackFigures(video, previous?.video?.counters, by_id),
      fps: number(video.framesPerSecond),
      width_px: number(video.frameWidth),
      height_px: number(video.frameHeight),
      freezes: number(video.freezeCount),
      dropped: number(video.framesDropped),
    },
    audio: audio && {
      ...trackFigures(audio, previous?.audio?.counters, by_id),
      concealed_percent: percent(audio.concealedSamples, audio.totalSamplesReceived),
    },
    rtt_ms: milliseconds(pair?.currentRoundTripTime),
    path: pair && pathOf(pair, by_id),
    sound_late_ms: soundLate(audio, video),
  };
}

function trackFigures(stat, before, by_id) {
  const counters = {
    at_ms: stat.timestamp,
    bytes: stat.bytesReceived ?? 0,
    buffer_delay_s: stat.jitterBufferDelay ?? 0,
    buffer_emitted: stat.jitterBufferEmittedCount ?? 0,
  };
  // A new connection starts its counters at zero: what came before says nothing about it.
  const since = before && counters.bytes >= before.bytes && counters.at_ms > before.at_ms ? before : null;
  const emitted = since ? counters.buffer_emitted - since.buffer_emitted : 0;
  return {
    counters,
    codec: by_id.get(stat.codecId)?.mimeType?.split("/")[1] ?? null,
    bitrate_bps: since ? ((counters.bytes - since.bytes) * 8000) / (counters.at_ms - since.at_ms) : null,
    lost_percent: percent(stat.packetsLost, (stat.packetsLost ?? 0) + (stat.packetsReceived ?? 0)),
    jitter_ms: milliseconds(stat.jitter),
    buffer_ms: emitted > 0 ? ((counters.buffer_delay_s - since.buffer_delay_s) * 1000) / emitted : null,
  };
}

/** How much later the sound plays than its picture, in ms; negative when the sound is early. */
function soundLate(audio, video) {
  const audio_ms = audio?.estimatedPlayoutTimestamp;
  const video_ms = video?.estimatedPlayoutTimestamp;
  if (!audio_ms || !video_ms) return null;
  // Each is the sender's time of what plays now; the reports can differ in when "now" was.
  return video_ms - video.timestamp - (audio_ms - audio.timestamp);
}

/** Whether a lip-sync error would be noticed. */
export function isLipErrorNoticed(sound_late_ms) {
  return sound_late_ms > SOUND_LATE_LIMIT_MS || sound_late_ms < -SOUND_EARLY_LIMIT_MS;
}

function selectedPair(all, by_id) {
  const transport = all.find((stat) => stat.type === "transport" && stat.selectedCandidatePairId);
  const selected = transport && by_id.get(transport.selectedCandidatePairId);
  return selected ?? all.find((stat) => stat.type === "candidate-pair" && stat.nominated && stat.state === "succeeded");
}

function pathOf(pair, by_id) {
  const local = by_id.get(pair.localCandidateId);
  const remote = by_id.get(pair.remoteCandidateId);
  if (!local || !remote) return null;
  return { local: local.candidateType, remote: remote.candidateType, protocol: local.protocol ?? null };
}

const number = (value) => (Number.isFinite(value) ? value : null);
const milliseconds = (seconds) => (Number.isFinite(seconds) ? seconds * 1000 : null);
const percent = (part, whole) => (whole > 0 ? (100 * Math.max(0, part ?? 0)) / whole : null);

/** The newest points of a series, oldest first: a new array with `value` at its end. */
export function remember(series, value) {
  return [...series, value].slice(-HISTORY_POINTS);
}

/** An SVG polyline's points for a series in a box; nulls are left out, and the scale starts at zero. */
export function sparklinePoints(series, width, height) {
  const top = Math.max(...series.filter((value) => value !== null), 1e-9);
  const step = width / (HISTORY_POINTS - 1);
  const offset = HISTORY_POINTS - series.length;
  return series
    .map((value, index) => [value, (index + offset) * step])
    .filter(([value]) => value !== null)
    .map(([value, x]) => `${x.toFixed(1)},${(height - 1 - (value / top) * (height - 2)).toFixed(1)}`)
    .join(" ");
}

// -- writing figures --------------------------------------------------------------------------------------------------

const NOT_KNOWN = "–";

/** A number with its unit, or a dash when it is not known. */
export function figure(value, unit = "", digits = 0) {
  if (value === null || value === undefined) return NOT_KNOWN;
  const text = value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return unit === "%" ? `${text}%` : unit ? `${text} ${unit}` : text;
}

/** A bit rate in kbit/s or Mbit/s. */
export function bitrate(bps) {
  if (bps === null || bps === undefined) return NOT_KNOWN;
  return bps >= 1e6 ? figure(bps / 1e6, "Mbit/s", 2) : figure(bps / 1e3, "kbit/s");
}

/** The lip-sync error in words. */
export function lipError(sound_late_ms) {
  if (sound_late_ms === null || sound_late_ms === undefined) return NOT_KNOWN;
  const ms = Math.round(Math.abs(sound_late_ms));
  if (ms === 0) return "in step";
  return `sound ${ms} ms ${sound_late_ms > 0 ? "late" : "early"}`;
}
