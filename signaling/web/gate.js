/** The card in front of the room: asks for a token, or says why there is no way in. */

import { readToken } from "./invitation.js";

const element = (id) => document.getElementById(id);

export class Gate {
  #asks = false;

  /** `entered(token)` is called when the form is sent; the token is null where none was asked for. */
  constructor(entered) {
    element("gate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const token = this.#asks ? readToken(element("token").value) : null;
      if (this.#asks && token === null) {
        element("gate-text").textContent = "That is not a token; paste the token or the whole invitation link.";
        element("token").focus();
        return;
      }
      element("token").value = "";
      entered(token);
    });
  }

  get isShown() {
    return !element("gate").hidden;
  }

  /** Ask for a token. */
  ask(sentence) {
    this.#show("Enter the room", sentence, true, "Join");
    element("token").focus();
  }

  /** Say why there is no way in, with a way to try again. */
  stop(sentence) {
    this.#show("Not connected", sentence, false, "Try again");
    element("gate-send").focus();
  }

  leave() {
    element("gate").hidden = true;
    element("layout").hidden = false;
    element("panel-toggle").hidden = false;
  }

  #show(title, sentence, asks, button) {
    this.#asks = asks;
    element("gate-title").textContent = title;
    element("gate-text").textContent = sentence;
    element("gate-field").hidden = !asks;
    element("gate-send").textContent = button;
    element("gate").hidden = false;
    element("layout").hidden = true;
    element("panel-toggle").hidden = true;
  }
}
