/** The page: joins the modules together. State comes in as messages, goes out to the views; nothing here is clever. */

import { Call } from "./call.js";
import { CaptionView, Captions } from "./captions.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { ConversationView } from "./conversation_view.js";
import { engineNotice } from "./engines.js";
import { Gate } from "./gate.js";
import { readFragment, TokenStore, withoutToken } from "./invitation.js";
import { MicrophoneButton } from "./microphone_button.js";
import { Notice } from "./notice.js";
import { Panel } from "./panel.js";
import { Player } from "./player.js";
import { PROTOCOL_VERSION } from "./protocol.js";
import { socketUrl } from "./signaling.js";
import { meterShare } from "./sound.js";
import { readStats } from "./stats.js";
import { TurnWatch } from "./turn_watch.js";

const STATS_EVERY_MS = 1000;
const LISTEN_EVERY_MS = 20;
const DRAW_EVERY_MS = 33;
const MAX_CAPTION_DELAY_MS = 400;
const DEBUG_CAPTIONS = 200;

const STATE_WORDS = {
  connecting: "Connecting",
  reconnecting: "Reconnecting",
  waiting: "Waiting",
  left: "Waiting",
  refused: "Not connected",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
};

const PLACEHOLDERS = {
  connecting: "Connecting…",
  reconnecting: "The connection was lost; reconnecting…",
  waiting: "Waiting for the double to arrive…",
  left: "The double has left; waiting…",
};

const element = (id) => document.getElementById(id);
const frame = element("frame");
const understood = element("understood");
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

const panel = new Panel();
const player = new Player(element("video"), element("unlock"), frame);
const captions = new Captions();
const captionView = new CaptionView(element("caption"));
const conversation = new Conversation();
const conversationView = new ConversationView(element("log"), element("log-empty"));
const turnWatch = new TurnWatch();
const tokens = new TokenStore();
const gate = new Gate(entered);
const notice = new Notice(element("error"));
const microphone = new MicrophoneButton(element("mic"), {
  context: () => player.context,
  changed: (track) => call?.setMicrophone(track),
  problem: (sentence) => notice.show(sentence),
});
const composer = new Composer({
  say,
  stop: () => {
    call?.interrupt();
    silence();
  },
  microphone: () => {
    if (!gate.isShown) microphone.toggle();
  },
});

let call = null;
let invitation = null;
let state = "connecting";
let double_state = "listening";
let double_name = "Double";
let engines = [];
let stats = null;
let drawn_ms = 0;
const caption_texts = [];

// -- entering ---------------------------------------------------------------------------------------------------------

/** Read the address; join when it names a room and a token is known, else ask for one. */
function begin() {
  invitation = readFragment(location.hash);
  const address = location.pathname + location.search + withoutToken(location.hash);
  if (invitation.token !== null) {
    tokens.set(invitation.room, invitation.token);
    history.replaceState(null, "", address);
  }
  const token = invitation.token ?? tokens.get(invitation.room);
  call?.stop();
  call = null;
  player.play([]);
  if (!invitation.is_room) gate.stop("The link names no valid room; ask for a new invitation link.");
  else if (token === null) gate.ask("This room needs a token; paste yours, or open your invitation link.");
  else join(token);
  showRoom();
}

/** The gate's form was sent: with a token where one was asked for, else null to try again. */
function entered(token) {
  if (token !== null) tokens.set(invitation.room, token);
  begin();
}

function join(token) {
  gate.leave();
  call = new Call({
    url: socketUrl(document.baseURI),
    room: invitation.room,
    token,
    codec: invitation.codec,
    on: {
      changed: update,
      message: received,
      tracks: (tracks) => player.play(tracks),
      refused,
      notice: (sentence) => notice.show(sentence),
    },
  });
  call.start();
  update();
  composer.focus();
}

function refused({ code, message }) {
  call = null;
  microphone.off();
  player.play([]);
  if (code === "bad_token") {
    tokens.forget(invitation.room);
    gate.ask("The token was refused; paste a valid one, or open a fresh invitation link.");
  } else {
    gate.stop(message);
  }
  update();
}

// -- what the double says ---------------------------------------------------------------------------------------------

function received(message) {
  const now_ms = performance.now();
  switch (message.type) {
    case "hello":
      if (message.version !== PROTOCOL_VERSION) notice.show("The double speaks another protocol version; update it.");
      double_name = message.name || "Double";
      double_state = message.state;
      document.title = `${double_name} · Understudy`;
      turnWatch.reset();
      break;
    case "state":
      double_state = message.state;
      if (message.state === "listening") player.unhush(250);
      break;
    case "user_text":
      conversation.understood(message);
      if (message.source === "spoken") showUnderstood(message);
      break;
    case "caption":
      captions.add(message, now_ms, Math.min(MAX_CAPTION_DELAY_MS, stats?.audio?.buffer_ms ?? 0));
      caption_texts.push(message.text);
      caption_texts.splice(0, caption_texts.length - DEBUG_CAPTIONS);
      conversation.caption(message);
      turnWatch.caption(message);
      element("spoken").textContent = message.text;
      break;
    case "silence":
      captions.cut(now_ms);
      break;
    case "services":
      engines = message.engines;
      break;
    case "turn_ended":
      if (message.reason !== "finished") captions.cut(now_ms);
      conversation.turnEnded(message);
      turnWatch.ended(message);
      panel.showTurn(turnWatch.last);
      player.unhush(250);
      break;
    case "notice":
      if (message.text) notice.keep(message.text);
      else notice.clear();
      break;
    case "error":
      notice.show(message.message);
      break;
  }
  update();
}

function showUnderstood({ text, final }) {
  understood.textContent = text;
  understood.classList.toggle("is-final", final);
}

// -- what the user does -----------------------------------------------------------------------------------------------

function say(text) {
  if (!call?.say(text)) {
    notice.show("The double is not connected yet; your line was not sent.");
    return false;
  }
  if (double_state === "speaking") silence();
  turnWatch.sent(performance.now());
  conversation.typed(text);
  understood.textContent = "";
  notice.clear();
  update();
  return true;
}

/** Silence here and now; the double hears of it a little later. */
function silence() {
  player.hush();
  captions.cut(performance.now());
}

// -- showing ----------------------------------------------------------------------------------------------------------

/** Bring the page in line with the call; cheap enough to be called after every message. */
function update() {
  const phase = call?.phase ?? "refused";
  const before = state;
  state = phase === "live" ? double_state : phase;
  if (state in PLACEHOLDERS && !(before in PLACEHOLDERS)) lost();
  if (phase === "live" && before in PLACEHOLDERS) notice.clear();
  document.body.dataset.phase = state;
  element("state-text").textContent = STATE_WORDS[state];
  element("placeholder-text").textContent = PLACEHOLDERS[phase] ?? "Waiting for the first picture…";
  composer.enable({ can_send: phase === "live", can_stop: state === "thinking" || state === "speaking" });
  conversationView.render(conversation.entries, double_name);
  showEngines();
  if (call !== null) panel.showConnection(call.status, STATE_WORDS[state], call.ping_rtt_ms);
}

/** The connection broke: nothing that was under way goes on. */
function lost() {
  conversation.connectionLost();
  captions.clear();
  player.play([]);
  turnWatch.reset();
  understood.textContent = "";
  double_state = "listening";
  engines = [];
  stats = null;
}

function showEngines() {
  const said = engineNotice(engines);
  const pill = element("engines");
  pill.hidden = said === null;
  pill.dataset.level = said?.level ?? "";
  const text = element("engines-text");
  if (text.textContent !== (said?.text ?? "")) text.textContent = said?.text ?? "";
  panel.showEngines(engines);
}

function showRoom() {
  const room = element("room");
  room.textContent = invitation.is_room ? invitation.room : "";
  room.hidden = !invitation.is_room;
}

function draw(now_ms) {
  requestAnimationFrame(draw);
  if (now_ms - drawn_ms < DRAW_EVERY_MS) return;
  drawn_ms = now_ms;
  captionView.render(captions.view(performance.now()));
  microphone.draw();
  if (calm.matches) return;
  const level = state === "speaking" ? meterShare(player.levelDb()) : 0;
  frame.style.setProperty("--level", level.toFixed(2));
}

setInterval(() => {
  if (turnWatch.isListening) turnWatch.level(player.levelDb(), performance.now());
}, LISTEN_EVERY_MS);

setInterval(async () => {
  const report = await call?.getStats();
  if (!report) return;
  stats = readStats(report.values(), stats);
  panel.showStats(stats);
  panel.showConnection(call.status, STATE_WORDS[state], call.ping_rtt_ms);
}, STATS_EVERY_MS);

// -- life of the page -------------------------------------------------------------------------------------------------

window.addEventListener("hashchange", begin);
window.addEventListener("online", () => call?.retryNow());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") call?.retryNow();
});
window.addEventListener("pagehide", () => call?.stop());
window.addEventListener("pageshow", (event) => {
  if (event.persisted) begin();
});

/** For tests and the curious: copies of what the page knows, read-only. */
Object.defineProperty(window, "understudy", {
  value: Object.freeze({
    get state() {
      return state;
    },
    get connection() {
      return structuredClone(call?.status ?? null);
    },
    get lastTurn() {
      return structuredClone(turnWatch.last);
    },
    get stats() {
      return structuredClone(stats);
    },
    get engines() {
      return structuredClone(engines);
    },
    get captions() {
      return [...caption_texts];
    },
    get log() {
      return conversation.entries.map((entry) => ({ ...entry }));
    },
  }),
});

requestAnimationFrame(draw);
begin();
