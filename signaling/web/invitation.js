/** Invitations: the room and the token from a link's fragment, kept for this tab only. */

import { isRoom } from "./protocol.js";

const DEFAULT_ROOM = "main";
const MAX_TOKEN_CHARS = 512;
const CODECS = new Set(["vp8", "h264"]);

/** Read a fragment (`#room=main&token=…&codec=h264`); what is missing or not valid gets its default. */
export function readFragment(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const room = fields.get("room") ?? DEFAULT_ROOM;
  const codec = (fields.get("codec") ?? "").toLowerCase();
  return {
    room,
    is_room: isRoom(room),
    token: readToken(fields.get("token") ?? ""),
    codec: CODECS.has(codec) ? codec : "vp8",
  };
}

/** The token from what a person pasted: itself, or the whole invitation link. Null when there is none. */
export function readToken(pasted) {
  const text = pasted.trim();
  const in_link = text.includes("token=") ? new URLSearchParams(text.slice(text.indexOf("#") + 1)).get("token") : null;
  const token = (in_link ?? text).trim();
  return token !== "" && token.length <= MAX_TOKEN_CHARS && !/\s/.test(token) ? token : null;
}

/** The fragment without its token, so that the address can be seen and shared. */
export function withoutToken(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  fields.delete("token");
  const rest = fields.toString();
  return rest === "" ? "" : `#${rest}`;
}

/** The token of a room, kept in this tab's session storage (or in memory where that is switched off). */
export class TokenStore {
  #memory = new Map();

  get(room) {
    try {
      return sessionStorage.getItem(key(room)) ?? this.#memory.get(room) ?? null;
    } catch {
      return this.#memory.get(room) ?? null;
    }
  }

  set(room, token) {
    this.#memory.set(room, token);
    try {
      sessionStorage.setItem(key(room), token);
    } catch {
      // Storage is switched off: memory serves until the page is closed.
    }
  }

  forget(room) {
    this.#memory.delete(room);
    try {
      sessionStorage.removeItem(key(room));
    } catch {
      // Nothing was stored.
    }
  }
}

const key = (room) => `understudy.token.${room}`;
