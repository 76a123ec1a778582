/** The user's microphone: asked for when it is switched on, released when it is switched off. */

const SENTENCES = {
  NotAllowedError: "The browser refused the microphone; allow it in the address bar, or type instead.",
  NotFoundError: "No microphone was found; plug one in, or type instead.",
  NotReadableError: "Another program is using the microphone; close it there, or type instead.",
};

/** One sentence for a person about why there is no microphone. */
export function microphoneSentence(name) {
  return SENTENCES[name] ?? "The microphone could not be started; you can type instead.";
}

/** Why the browser will not even ask: null when it would. */
export function whyNotOffered(is_secure, has_devices) {
  if (!is_secure) return "Browsers give the microphone only to https or localhost pages; you can type instead.";
  return has_devices ? null : "This browser has no access to microphones; you can type instead.";
}

/** Open the microphone; throws an Error whose message is one sentence. */
export async function openMicrophone() {
  const reason = whyNotOffered(window.isSecureContext, Boolean(navigator.mediaDevices?.getUserMedia));
  if (reason !== null) throw new Error(reason);
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (problem) {
    throw new Error(microphoneSentence(problem.name), { cause: problem });
  }
}
