"""What the owner is told of the performer's engines: one sentence for each that is not as it should be. Pure."""

from collections.abc import Iterable

from signaling.protocol import EngineState

_STANDS_IN = {
    "llm": "{engine} answers instead of the first language model, which {reason}.",
    "tts": "The double speaks with the voice of {engine}, because the first one {reason}.",
    "face": "The double shows the face of {engine}, because the first one {reason}.",
}
_DOWN = {
    "llm": "The language model {engine} {reason}; the double cannot answer until it is back.",
    "tts": "The voice {engine} {reason}; the double cannot speak until it is back.",
    "face": "The face {engine} {reason}; the picture stands still until it is back.",
}
_REASONS = {
    "broke_off": "broke off in the middle",
    "too_slow": "took too long",
    "unavailable": "could not be started",
}


def troubles(engines: Iterable[EngineState]) -> tuple[str, ...]:
    """Those that are down first."""
    told = sorted((one for one in engines if one.state != "ok"), key=lambda one: one.state != "down")
    return tuple(
        (_DOWN if one.state == "down" else _STANDS_IN)[one.kind].format(
            engine=one.engine, reason=_REASONS.get(one.reason or "", "failed")
        )
        for one in told
    )
