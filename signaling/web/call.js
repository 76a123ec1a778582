/** A call: the room, the performer in it, and a connection to that performer for as long as the page is open. */

import { Backoff } from "./backoff.js";
import { Connection } from "./connection.js";
import { make } from "./protocol.js";
import { Signaling } from "./signaling.js";

/**
 * What to tell a person about the way to the double, worked out from facts:
 * live | connecting | reconnecting | waiting (nobody has come) | left (it was there and went).
 */
export function phaseOf({ live, was_live, signaling, performer_present, performer_seen }) {
  if (live) return "live";
  if (signaling === "connected" && !performer_present) return performer_seen ? "left" : "waiting";
  return was_live ? "reconnecting" : "connecting";
}

/** `on` has `changed()`, `message(message)`, `tracks(list)`, `refused({code, message})` and `notice(sentence)`. */
export class Call {
  #signaling;
  #connection = null;
  #codec;
  #on;
  #ice_servers = [];
  #peers = new Map();
  #tracks = [];
  #backoff = new Backoff();
  #timer = null;
  #signaling_status = "connecting";
  #live = false;
  #was_live = false;
  #performer_seen = false;
  #microphone_track = null;
  #attempts = 0;
  #refusal = null;

  constructor({ url, room, token, codec, on }) {
    this.#codec = codec;
    this.#on = on;
    this.#signaling = new Signaling({
      url,
      room,
      token,
      on: {
        status: (name) => {
          this.#signaling_status = name;
          on.changed();
        },
        message: (message) => this.#fromService(message),
        refused: (error) => {
          this.#refusal = error;
          if (!this.#live) this.#giveUp(); // A live connection does not need the service: it goes on as it is.
        },
      },
    });
  }

  start() {
    this.#signaling.open();
  }

  /** Leave the room and close the connection. */
  stop() {
    this.#hangUp();
    this.#signaling.close();
  }

  retryNow() {
    this.#signaling.retryNow();
  }

  get phase() {
    return phaseOf({
      live: this.#live,
      was_live: this.#was_live,
      signaling: this.#signaling_status,
      performer_present: this.#performer !== null,
      performer_seen: this.#performer_seen,
    });
  }

  /** The facts behind the phase, for the panel and for tests. */
  get status() {
    const { channel, peer } = this.#connection?.status ?? { channel: "closed", peer: "closed" };
    const roles = [...this.#peers.values()];
    return { phase: this.phase, signaling: this.#signaling_status, channel, peer, roles, attempts: this.#attempts };
  }

  get ping_rtt_ms() {
    return this.#connection?.ping_rtt_ms ?? null;
  }

  /** Send a typed line; returns whether it could be sent. */
  say(text) {
    return this.#live && this.#connection.send(make.say(text));
  }

  interrupt() {
    return this.#live && this.#connection.send(make.interrupt());
  }

  /** Send this microphone track from now on, also after a reconnection; null switches it off. */
  setMicrophone(track) {
    this.#microphone_track = track;
    this.#connection?.setMicrophone(track);
    if (this.#live) this.#connection.send(make.microphone(track !== null));
  }

  async getStats() {
    return this.#live ? this.#connection.getStats() : null;
  }

  get #performer() {
    for (const [peer_id, role] of this.#peers) if (role === "performer") return peer_id;
    return null;
  }

  #fromService(message) {
    switch (message.type) {
      case "welcome":
        this.#peers = new Map(message.peers.map((peer) => [peer.peer_id, peer.role]));
        this.#peers.set(message.peer_id, message.role);
        this.#ice_servers = message.ice_servers;
        if (!this.#live) this.#connect();
        break;
      case "peer_joined":
        this.#peers.set(message.peer.peer_id, message.peer.role);
        if (message.peer.role === "performer" && !this.#live) this.#connect();
        break;
      case "peer_left":
        this.#peers.delete(message.peer_id);
        // A performer that only lost the service still performs; that it is gone shows in the connection itself.
        if (message.peer_id === this.#connection?.performer_id && !this.#live) this.#hangUp();
        if (this.#performer !== null && this.#connection === null) this.#connect();
        break;
      case "answer":
        if (message.sender === this.#connection?.performer_id) this.#connection.answered(message.sdp);
        break;
      case "candidate":
        if (message.sender === this.#connection?.performer_id) this.#connection.candidate(message);
        break;
      case "bye":
        if (message.sender === this.#connection?.performer_id) {
          if (message.reason) this.#on.notice(message.reason);
          this.#retry();
        }
        break;
      case "error":
        // A performer that left while we wrote to it: `peer_left` says the same and is acted upon.
        if (message.code === "unknown_peer") console.info("peer_unknown");
        else this.#on.notice(message.message);
        break;
    }
    this.#on.changed();
  }

  #connect() {
    this.#hangUp();
    const performer_id = this.#performer;
    if (performer_id === null || this.#signaling_status !== "connected") return;
    this.#performer_seen = true;
    this.#attempts += 1;
    const connection = new Connection({
      ice_servers: this.#ice_servers,
      performer_id,
      codec: this.#codec,
      microphone_track: this.#microphone_track,
      send: (message) => this.#signaling.send(message),
      on: {
        changed: () => this.#on.changed(),
        track: (track) => this.#on.tracks((this.#tracks = [...this.#tracks, track])),
        opened: () => this.#opened(),
        message: (message) => this.#on.message(message),
        dead: (reason) => {
          console.info("connection_lost", reason);
          this.#retry();
        },
      },
    });
    this.#connection = connection;
    connection.open();
    this.#on.changed();
  }

  #opened() {
    this.#live = true;
    this.#was_live = true;
    this.#backoff.succeeded();
    if (this.#microphone_track !== null) this.#connection.send(make.microphone(true));
    this.#on.changed();
  }

  /** Give this connection up and try another after a while. */
  #retry() {
    this.#hangUp();
    if (this.#refusal !== null) {
      this.#giveUp();
      return;
    }
    this.#timer = setTimeout(() => this.#connect(), this.#backoff.failed());
    this.#on.changed();
  }

  /** The service does not let us in any more, and there is no connection left. */
  #giveUp() {
    this.stop();
    this.#on.refused(this.#refusal);
  }

  #hangUp() {
    clearTimeout(this.#timer);
    this.#live = false;
    this.#tracks = [];
    if (this.#connection === null) return;
    const { performer_id } = this.#connection;
    this.#connection.close();
    this.#connection = null;
    if (this.#peers.has(performer_id)) this.#signaling.send(make.bye(performer_id));
  }
}
