/** The WebSocket to the signaling service: joins the room, and joins again when the connection is lost. */

import { Backoff } from "./backoff.js";
import { BadMessage, FROM_SERVICE, make, parse } from "./protocol.js";

const JOIN_DEADLINE_MS = 8000;

/** Refusals that another try can mend by itself; all other fatal ones need a person. */
const PASSING = new Set(["rate_limited", "join_timeout"]);

/** The address of the service's WebSocket, beside the page that was loaded. */
export function socketUrl(page_url) {
  const url = new URL("ws", page_url);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  url.search = "";
  return url.href;
}

/** One membership of a room; `on` has `status(name)`, `message(message)` and `refused({code, message})`. */
export class Signaling {
  #url;
  #room;
  #token;
  #on;
  #socket = null;
  #backoff = new Backoff();
  #timer = null;
  #deadline = null;
  #ended = false;

  constructor({ url, room, token, on }) {
    this.#url = url;
    this.#room = room;
    this.#token = token;
    this.#on = on;
  }

  /** Connect and join; afterwards the connection is kept until `close`. */
  open() {
    this.#on.status("connecting");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#deadline = setTimeout(() => this.#lost(socket), JOIN_DEADLINE_MS);
    socket.addEventListener("open", () => socket.send(JSON.stringify(make.join(this.#room, this.#token))));
    socket.addEventListener("message", (event) => this.#received(socket, event.data));
    socket.addEventListener("close", () => this.#lost(socket));
  }

  /** Send one message; without a connection it is dropped, because a new offer follows each new connection. */
  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Do not wait any longer: the network came back, or the page is looked at again. */
  retryNow() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.open();
  }

  close() {
    this.#ended = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#deadline);
    this.#socket?.close();
    this.#socket = null;
  }

  #received(socket, data) {
    if (socket !== this.#socket) return;
    let message;
    try {
      message = parse(FROM_SERVICE, data);
    } catch (problem) {
      if (!(problem instanceof BadMessage)) throw problem;
      console.warn("signaling_message_refused", problem.message);
      return;
    }
    if (message.type === "error" && message.fatal) {
      if (PASSING.has(message.code)) return; // The service closes the socket, and a new one follows.
      this.close();
      this.#on.refused(message);
      return;
    }
    if (message.type === "welcome") {
      clearTimeout(this.#deadline);
      this.#backoff.succeeded();
      this.#on.status("connected");
    }
    this.#on.message(message);
  }

  #lost(socket) {
    if (this.#ended || socket !== this.#socket) return;
    clearTimeout(this.#deadline);
    this.#socket = null;
    socket.close();
    this.#on.status("lost");
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.open();
    }, this.#backoff.failed());
  }
}
