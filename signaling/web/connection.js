/** One RTCPeerConnection to the performer, from offer to close. It never repairs itself: call.js makes the next one. */

import { BadMessage, CHANNEL_LABEL, FROM_PERFORMER, MAX_CANDIDATE_CHARS, make, parse } from "./protocol.js";

const CONNECT_DEADLINE_MS = 12_000;
const LOOK_EVERY_MS = 250;
const PING_EVERY_MS = 1000;
const PONG_DEADLINE_MS = 3000;

/** Codecs in the order to offer: the wanted one first, the others as they were. */
export function orderCodecs(codecs, wanted) {
  const mime = `video/${wanted}`.toLowerCase();
  const first = codecs.filter((codec) => codec.mimeType.toLowerCase() === mime);
  return [...first, ...codecs.filter((codec) => !first.includes(codec))];
}

/** Tells a dead channel from a quiet one, without timers of its own. */
export class PingWatch {
  #next_id = 0;
  #sent_ms = new Map();
  #last_look_ms = null;
  #last_ping_ms = -Infinity;
  rtt_ms = null;

  /** Called several times a second: "dead" when a ping is unanswered for too long, "due" when one is to be sent. */
  look(now_ms) {
    const slept = this.#last_look_ms !== null && now_ms - this.#last_look_ms > PONG_DEADLINE_MS;
    this.#last_look_ms = now_ms;
    if (slept) this.#sent_ms.clear(); // The browser held our timers back: silence then says nothing.
    const [oldest_ms] = this.#sent_ms.values();
    if (oldest_ms !== undefined && now_ms - oldest_ms >= PONG_DEADLINE_MS) return "dead";
    return now_ms - this.#last_ping_ms >= PING_EVERY_MS ? "due" : "well";
  }

  /** The id of a ping that is sent now. */
  ping(now_ms) {
    this.#last_ping_ms = now_ms;
    this.#sent_ms.set(this.#next_id, now_ms);
    return this.#next_id++;
  }

  /** A pong answers its ping and all before it. */
  pong(id, now_ms) {
    const at_ms = this.#sent_ms.get(id);
    if (at_ms === undefined) return;
    this.rtt_ms = now_ms - at_ms;
    for (const earlier of [...this.#sent_ms.keys()]) if (earlier <= id) this.#sent_ms.delete(earlier);
  }
}

/**
 * One attempt; `on` has `track(track)`, `message(message)`, `opened()`, `changed()` and `dead(reason)`, which comes
 * at most once. `send` passes a message to the signaling service.
 */
export class Connection {
  #peer;
  #channel;
  #sender;
  #performer_id;
  #send;
  #on;
  #watch = new PingWatch();
  #timers = [];
  #early = [];
  #closed = false;

  constructor({ ice_servers, performer_id, codec, microphone_track, send, on }) {
    this.#performer_id = performer_id;
    this.#send = send;
    this.#on = on;
    this.#peer = new RTCPeerConnection({ iceServers: ice_servers.map(toRtcIceServer) });
    const peer = this.#peer;
    this.#channel = peer.createDataChannel(CHANNEL_LABEL, { ordered: true });
    // sendrecv from the start: the microphone joins later by replaceTrack, without another negotiation.
    this.#sender = peer.addTransceiver("audio", { direction: "sendrecv" }).sender;
    const video = peer.addTransceiver("video", { direction: "recvonly" });
    const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
    if (codecs.length > 0 && video.setCodecPreferences) video.setCodecPreferences(orderCodecs(codecs, codec));
    if (microphone_track) this.setMicrophone(microphone_track);
    this.#listen();
  }

  get performer_id() {
    return this.#performer_id;
  }

  get isOpen() {
    return this.#channel.readyState === "open";
  }

  /** Names of the states of both layers, for the panel. */
  get status() {
    return { channel: this.#channel.readyState, peer: this.#peer.connectionState };
  }

  /** Round trip of the last answered ping in ms, or null. */
  get ping_rtt_ms() {
    return this.#watch.rtt_ms;
  }

  /** Make and send the offer. */
  async open() {
    this.#timers.push(
      setTimeout(() => {
        if (!this.isOpen) this.#die("no connection in time");
      }, CONNECT_DEADLINE_MS),
    );
    try {
      await this.#peer.setLocalDescription();
      if (!this.#closed) this.#send(make.offer(this.#performer_id, this.#peer.localDescription.sdp));
    } catch (problem) {
      this.#die(`no offer: ${problem.message}`);
    }
  }

  /** Take the performer's answer; candidates that came before it follow now. */
  async answered(sdp) {
    if (this.#closed || this.#peer.signalingState !== "have-local-offer") return;
    try {
      await this.#peer.setRemoteDescription({ type: "answer", sdp });
      for (const message of this.#early.splice(0)) await this.candidate(message);
    } catch (problem) {
      this.#die(`answer refused: ${problem.message}`);
    }
  }

  /** Take one of the performer's candidates; a useless one does no harm. */
  async candidate(message) {
    if (this.#closed) return;
    if (this.#peer.remoteDescription === null) {
      this.#early.push(message);
      return;
    }
    const { candidate, sdp_mid: sdpMid = null, sdp_m_line_index: sdpMLineIndex = null } = message;
    try {
      await this.#peer.addIceCandidate(candidate === "" ? undefined : { candidate, sdpMid, sdpMLineIndex });
    } catch (problem) {
      console.warn("candidate_refused", problem.message);
    }
  }

  /** Send on the data channel; returns whether it was open. */
  send(message) {
    if (!this.isOpen) return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }

  /** Send this track, or nothing when it is null. */
  setMicrophone(track) {
    this.#sender.replaceTrack(track).catch((problem) => console.warn("microphone_not_sent", problem.message));
  }

  getStats() {
    return this.#peer.getStats();
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#timers.forEach(clearTimeout);
    this.#channel.close();
    this.#peer.close();
  }

  #listen() {
    const peer = this.#peer;
    const channel = this.#channel;
    peer.addEventListener("icecandidate", ({ candidate }) => {
      if (this.#closed || (candidate && candidate.candidate.length > MAX_CANDIDATE_CHARS)) return;
      if (candidate === null || candidate.candidate !== "") this.#send(make.candidate(this.#performer_id, candidate));
    });
    peer.addEventListener("track", ({ track }) => {
      if (!this.#closed) this.#on.track(track);
    });
    peer.addEventListener("connectionstatechange", () => {
      if (this.#closed) return;
      if (peer.connectionState === "failed") this.#die("ICE failed");
      else this.#on.changed();
    });
    channel.addEventListener("open", () => {
      if (this.#closed) return;
      this.#timers.push(setInterval(() => this.#look(), LOOK_EVERY_MS));
      this.#on.opened();
    });
    channel.addEventListener("close", () => this.#die("the data channel closed"));
    channel.addEventListener("message", ({ data }) => this.#received(data));
  }

  #look() {
    const now_ms = performance.now();
    const verdict = this.#watch.look(now_ms);
    if (verdict === "dead") this.#die("no pong in time");
    else if (verdict === "due") this.send(make.ping(this.#watch.ping(now_ms)));
  }

  #received(data) {
    if (this.#closed) return;
    try {
      const message = parse(FROM_PERFORMER, data);
      if (message.type === "pong") this.#watch.pong(message.id, performance.now());
      else this.#on.message(message);
    } catch (problem) {
      if (!(problem instanceof BadMessage)) throw problem;
      console.warn("channel_message_refused", problem.message);
    }
  }

  #die(reason) {
    if (this.#closed) return;
    this.close();
    this.#on.dead(reason);
  }
}

function toRtcIceServer({ urls, username, credential }) {
  return username ? { urls, username, credential: credential ?? "" } : { urls };
}
