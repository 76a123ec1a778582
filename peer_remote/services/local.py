"""Which services the settings want, which of them this machine starts, and how.

An engine that is reached by a URL on loopback is started here, one whose URL leads elsewhere is only asked for its
health, and the performer comes after them all.
"""

import ipaddress
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from models.errors import WeightsError
from models.weights import Catalog
from peer_remote.services.errors import ServicesError
from peer_remote.services.needs import Need, face_need, llm_need, performer_needs, voice_need
from peer_remote.services.probes import address
from peer_remote.services.service import Health, Service
from peer_remote.services.settings import MachineSettings

KEYS: Final = {
    "llm": "UNDERSTUDY_LLM__KEY",
    "voice": "UNDERSTUDY_TTS__FISH_SPEECH__KEY",
    "face": "UNDERSTUDY_FACE__KEY",
}
TOKEN: Final = "UNDERSTUDY_REMOTE__TOKEN"

LLM_START_S: Final = 300.0
"""Reading 17 GB from a slow disk."""
VOICE_START_S: Final = 720.0
"""What `python -m models.tts serve` allows: loading, compiling and a first clause."""
FACE_START_S: Final = 300.0
ELSEWHERE_START_S: Final = 30.0
"""How long the performer waits for what this machine cannot start."""
VOICE_STOP_S: Final = 15.0
"""`python -m models.tts serve` gives the server 10 s of it."""
PERFORMER_START_S: Final = 300.0


def wanted_services(settings: MachineSettings, *, only: str | None = None) -> tuple[Service, ...]:
    """All services that the settings want, in the order of starting. What is not started here has no command.

    With `only` one is started, as a program of its own beside the others, and those that it comes after are asked.
    Keys that nobody has set are made, for this start and for both sides. Raises ServicesError.
    """
    urls = _urls(settings)
    names = [*urls, "performer"]
    if only is not None and only not in names:
        raise ServicesError(f"{only} is not among the services that the settings want: {', '.join(names)}.")
    starts = [name for name in names if _starts_here(name, urls, settings) and only in (None, name)]
    if only is not None and not starts:
        raise ServicesError(f"{only} is not started on this machine: {_elsewhere(only, urls, settings)}.")
    keys = _keys(settings, starts, alone=only is not None)
    needs = needed(settings)
    services = [
        _service(name, urls, settings, keys, needs) if name in starts else _asked(name, urls[name])
        for name in names
        if name in starts or name in urls
    ]
    if only is None or only == "performer":
        return tuple(services)
    return tuple(service for service in services if service.name == only)


def local_services(settings: MachineSettings, *, only: str | None = None) -> tuple[Service, ...]:
    """Those of them that this machine starts. Raises ServicesError."""
    return tuple(service for service in wanted_services(settings, only=only) if service.command)


def needed(settings: MachineSettings) -> tuple[Need, ...]:
    """What they need of the GPUs of this machine, if it has any. Raises ServicesError."""
    urls = _urls(settings)
    found: list[Need | None] = []
    if _starts_here("llm", urls, settings):
        try:
            found.append(llm_need(settings.services.llm_model, _context_tokens(settings), Catalog.read()))
        except WeightsError as error:
            raise ServicesError(f"UNDERSTUDY_SERVICES__LLM_MODEL: {error}") from None
    if _starts_here("voice", urls, settings):
        found.append(voice_need(settings.tts.fish_speech))
    if _starts_here("face", urls, settings):
        found.append(face_need("face", settings.face, "auto"))
    if _starts_here("performer", urls, settings):
        found += performer_needs(settings)
    return tuple(need for need in found if need is not None)


def environment_of(service: Service, inherited: Mapping[str, str]) -> dict[str, str]:
    """What a service inherits: everything but the keys and the token of others."""
    private = {*KEYS.values(), TOKEN, "UNDERSTUDY_SIGNALING__SECRET", "UNDERSTUDY_SIGNALING__TURN_SECRET"}
    kept = {
        name: value for name, value in inherited.items() if service.name == "performer" or name.upper() not in private
    }
    shown = {name: secret.get_secret_value() for name, secret in service.secrets.items()}
    return {**kept, **service.environment, **shown}


def _urls(settings: MachineSettings) -> dict[str, str]:
    """By name, the address of each engine that is reached by one."""
    urls = {}
    if settings.llm.engine == "openai":
        urls["llm"] = settings.llm.url
    if settings.tts.engine == "fish_speech":
        urls["voice"] = settings.tts.fish_speech.url
    if settings.face.engine == "remote":
        urls["face"] = settings.face.url
    return urls


def _starts_here(name: str, urls: Mapping[str, str], settings: MachineSettings) -> bool:
    if name not in settings.services.start:
        return False
    return name == "performer" or (name in urls and is_ours(urls[name]))


def is_ours(url: str) -> bool:
    """Whether a server of ours can be what is reached by `url`: on loopback, without TLS, in the usual place."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    return loopback and parts.scheme == "http" and parts.path.rstrip("/") in ("", "/v1")


def _elsewhere(name: str, urls: Mapping[str, str], settings: MachineSettings) -> str:
    if name not in settings.services.start:
        return "UNDERSTUDY_SERVICES__START leaves it out"
    return f"its URL is {urls[name]}"


def _keys(settings: MachineSettings, starts: Iterable[str], *, alone: bool) -> dict[str, SecretStr]:
    """By service, the key of both sides. Raises ServicesError where one that is made would not reach both."""
    given = {"llm": settings.llm.key, "voice": settings.tts.fish_speech.key, "face": settings.face.key}
    keys = {name: key for name, key in given.items() if key is not None and key.get_secret_value()}
    starts = tuple(starts)
    for name in starts:
        if name in keys or name not in KEYS:
            continue
        if alone or "performer" not in starts:
            raise ServicesError(
                f"{KEYS[name]} is not set; a service that is started without the performer needs a key that both "
                "know, for example what `openssl rand -hex 16` says."
            )
        keys[name] = SecretStr(secrets.token_urlsafe(24))
    return keys


def _service(
    name: str,
    urls: Mapping[str, str],
    settings: MachineSettings,
    keys: Mapping[str, SecretStr],
    needs: Iterable[Need],
) -> Service:
    makers: dict[str, Callable[[], Service]] = {
        "llm": lambda: _llm(settings, keys["llm"], _gib(needs, "llm")),
        "voice": lambda: _voice(settings, keys["voice"], _gib(needs, "voice")),
        "face": lambda: _face(settings, keys["face"], _gib(needs, "face")),
        "performer": lambda: _performer(tuple(urls), keys, _gib(needs, "performer")),
    }
    return makers[name]()


def _llm(settings: MachineSettings, key: SecretStr, vram_gib: float) -> Service:
    host, port = address(settings.llm.url)
    command = _module("models.llm", "serve", "--model", settings.services.llm_model)
    command += ("--host", "127.0.0.1" if host == "localhost" else host, "--port", str(port))
    command += ("--context-tokens", str(_context_tokens(settings)))
    # Its own page about itself: unlike the API it does not wait for the model, which cuts an answer off when asked
    # for anything else (llama-cpp-python's interrupt_requests).
    health = Health("http", f"{_base(settings.llm.url)}/docs")
    return Service(
        "llm", command, health, secrets={KEYS["llm"]: key}, start_s=LLM_START_S, stop_s=10.0, vram_gib=vram_gib
    )


def _voice(settings: MachineSettings, key: SecretStr, vram_gib: float) -> Service:
    # A server that works answers nothing, not even for its health, and listens once it is ready.
    health = Health("tcp", _base(settings.tts.fish_speech.url))
    command = _module("models.tts", "serve")
    return Service(
        "voice",
        command,
        health,
        secrets={KEYS["voice"]: key},
        start_s=VOICE_START_S,
        stop_s=VOICE_STOP_S,
        vram_gib=vram_gib,
    )


def _face(settings: MachineSettings, key: SecretStr, vram_gib: float) -> Service:
    health = Health("tcp", _base(settings.face.url))
    command = _module("models.face", "serve")
    return Service(
        "face", command, health, secrets={KEYS["face"]: key}, start_s=FACE_START_S, stop_s=10.0, vram_gib=vram_gib
    )


def _performer(after: tuple[str, ...], keys: Mapping[str, SecretStr], vram_gib: float) -> Service:
    return Service(
        "performer",
        _module("peer_remote"),
        Health("process"),
        secrets={KEYS[name]: key for name, key in keys.items()},
        after=after,
        start_s=PERFORMER_START_S,
        stop_s=10.0,
        vram_gib=vram_gib,
    )


def _asked(name: str, url: str) -> Service:
    return Service(name, (), Health("tcp", url), start_s=ELSEWHERE_START_S)


def _module(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *words)


def _base(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _context_tokens(settings: MachineSettings) -> int:
    return max(settings.services.llm_context_tokens, settings.llm.context_tokens)


def _gib(needs: Iterable[Need], service: str) -> float:
    return sum(need.gib for need in needs if need.service == service)
