/**
 * The messages of signaling/protocol.py, version 1, as the browser writes and reads them.
 * Reading is strict: an unknown type or field, or a value of the wrong kind, is a BadMessage.
 */

export const PROTOCOL_VERSION = 1;
export const CHANNEL_LABEL = "control";
export const MAX_MESSAGE_CHARS = 96 * 1024;
export const MAX_TEXT_CHARS = 2000;
export const MAX_CANDIDATE_CHARS = 1024;

const ROOM = /^[a-zA-Z0-9_-]{1,64}$/;
const PEER_ID = /^[a-z0-9]{8,32}$/;

/** A message that is not of this protocol; the text is one sentence. */
export class BadMessage extends Error {}

/** Whether a name can be a room's. */
export const isRoom = (name) => ROOM.test(name);

// -- writing ----------------------------------------------------------------------------------------------------------

/** What a browser can send: one function per message, each returns a plain object. */
export const make = Object.freeze({
  join: (room, token) => ({ type: "join", version: PROTOCOL_VERSION, room, token }),
  offer: (to, sdp) => ({ type: "offer", to, sdp }),
  bye: (to) => ({ type: "bye", to }),
  /** `candidate` is an RTCIceCandidate, or null at the end of candidates. */
  candidate: (to, candidate) => ({
    type: "candidate",
    to,
    candidate: candidate?.candidate ?? "",
    sdp_mid: candidate?.sdpMid ?? null,
    sdp_m_line_index: candidate?.sdpMLineIndex ?? null,
  }),
  say: (text) => ({ type: "say", text }),
  interrupt: () => ({ type: "interrupt" }),
  microphone: (on) => ({ type: "microphone", on }),
  ping: (id) => ({ type: "ping", id }),
});

// -- reading ----------------------------------------------------------------------------------------------------------

const isString = (value) => typeof value === "string";
const isBoolean = (value) => typeof value === "boolean";
const isInteger = (value) => Number.isInteger(value);
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isPeerId = (value) => isString(value) && PEER_ID.test(value);
const oneOf = (...values) => (value) => values.includes(value);
const optional = (check) => Object.assign((value) => value == null || check(value), { optional: true });
const listOf = (check) => (value) => Array.isArray(value) && value.every(check);
const numbers = (value) => isObject(value) && Object.values(value).every(isNumber);

/** A check for an object that has exactly the given fields. */
function record(fields) {
  return (value) => isObject(value) && wrongField(fields, value) === null;
}

const isRole = oneOf("performer", "operator", "viewer");
const isPeer = record({ peer_id: isPeerId, role: isRole });
const isIceServer = record({ urls: listOf(isString), username: optional(isString), credential: optional(isString) });
const isState = oneOf("listening", "thinking", "speaking");
const isEngine = record({
  kind: oneOf("llm", "tts", "face"),
  engine: isString,
  state: oneOf("ok", "fallback", "down"),
  reason: optional(isString),
});
const error = { code: isString, message: isString, fatal: optional(isBoolean) };

/** What the signaling service sends. */
export const FROM_SERVICE = Object.freeze({
  welcome: {
    version: isInteger,
    peer_id: isPeerId,
    role: isRole,
    peers: listOf(isPeer),
    ice_servers: listOf(isIceServer),
  },
  peer_joined: { peer: isPeer },
  peer_left: { peer_id: isPeerId },
  offer: { to: isPeerId, sender: optional(isPeerId), sdp: isString },
  answer: { to: isPeerId, sender: optional(isPeerId), sdp: isString },
  candidate: {
    to: isPeerId,
    sender: optional(isPeerId),
    candidate: isString,
    sdp_mid: optional(isString),
    sdp_m_line_index: optional(isInteger),
  },
  bye: { to: isPeerId, sender: optional(isPeerId), reason: optional(isString) },
  error,
});

/** What the performer sends on the data channel. */
export const FROM_PERFORMER = Object.freeze({
  hello: { version: isInteger, name: isString, state: isState, turns: isInteger },
  state: { state: isState, turn_id: isInteger },
  user_text: { text: isString, final: isBoolean, source: oneOf("typed", "spoken") },
  caption: {
    turn_id: isInteger,
    index: isInteger,
    text: isString,
    duration_ms: isInteger,
    start_samples: isInteger,
    at_s: isNumber,
  },
  silence: { at_s: isNumber },
  drafted: { answers: isString, text: isString },
  remembered: { summary: isString },
  services: { engines: listOf(isEngine) },
  notice: { text: isString },
  turn_ended: {
    turn_id: isInteger,
    reason: oneOf("finished", "interrupted", "failed"),
    text: isString,
    moments_ms: numbers,
  },
  pong: { id: isInteger },
  error,
});

/** Read one message of the given direction (FROM_SERVICE or FROM_PERFORMER), or throw BadMessage. */
export function parse(direction, data) {
  if (!isString(data)) throw new BadMessage("The message is not text.");
  if (data.length > MAX_MESSAGE_CHARS) throw new BadMessage(`The message is longer than ${MAX_MESSAGE_CHARS}.`);
  let message;
  try {
    message = JSON.parse(data);
  } catch {
    throw new BadMessage("The message is not JSON.");
  }
  if (!isObject(message)) throw new BadMessage("The message is not an object.");
  const { type, ...rest } = message;
  if (!isString(type) || !Object.hasOwn(direction, type)) throw new BadMessage("The message's type is unknown.");
  const wrong = wrongField(direction[type], rest);
  if (wrong !== null) throw new BadMessage(`The message ${type} is not understood: ${wrong}.`);
  return message;
}

/** Name the first field that is missing, unknown or of the wrong kind; null when all is well. */
function wrongField(fields, value) {
  for (const [name, check] of Object.entries(fields)) {
    if (!Object.hasOwn(value, name) ? !check.optional : !check(value[name])) return name;
  }
  return Object.keys(value).find((name) => !Object.hasOwn(fields, name)) ?? null;
}
