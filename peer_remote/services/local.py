"""Which services the settings want, which of them this machine starts, and how.

An engine that is reached by a URL on loopback is started here, one whose URL leads elsewhere is only asked for its
health, and the performer comes after them all.
"""

import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from models.errors import WeightsError
from models.servers import is_loopback
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
PERFORMER: Final = "performer"
TOKEN: Final = "UNDERSTUDY_REMOTE__TOKEN"

_PRIVATE: Final = {
    *KEYS.values(),
    TOKEN,
    "UNDERSTUDY_LLM__FALLBACKS",
    "UNDERSTUDY_TTS__FALLBACKS",
    "UNDERSTUDY_FACE__FALLBACKS",
    "UNDERSTUDY_SIGNALING__SECRET",
    "UNDERSTUDY_SIGNALING__TURN_SECRET",
}
"""What only the performer needs, or one server."""

START_S: Final = {"llm": 300.0, "voice": 720.0, "face": 300.0}
"""Reading 17 GB from a slow disk; what `python -m models.tts serve` allows for loading, compiling and a clause."""
ELSEWHERE_START_S: Final = 30.0
"""How long the performer waits for what another machine runs."""
ASKED_EVERY_S: Final = 2.0
"""What hangs is started again within 20 s: three questions of 3 s, and 2 s to end."""
STOP_S: Final = 10.0
VOICE_STOP_S: Final = 15.0
"""`python -m models.tts serve` gives the server 10 s of it."""


Keys = Mapping[str, SecretStr]
Needs = Sequence[Need]


def wanted_services(settings: MachineSettings, *, only: str | None = None) -> tuple[Service, ...]:
    """All services that the settings want, in the order of starting. What is not started here has no command.

    With `only` one is started, as a program of its own beside the others, and those that it comes after are asked.
    Keys that nobody has set are made, for this start and for both sides. Raises ServicesError.
    """
    servers = _servers(settings)
    names = [*servers, PERFORMER]
    if only is not None and only not in names:
        raise ServicesError(f"{only} is not among what the settings want, which is {', '.join(names)}.")
    starts = [name for name in names if only in (None, name) and _starts_here(name, servers, settings)]
    if only is not None and not starts:
        why = (
            f"is at {servers[only].url}" if only in settings.services.start else "is not in UNDERSTUDY_SERVICES__START"
        )
        raise ServicesError(f"{only} is not started on this machine, because it {why}.")
    keys, made = _keys(servers, starts, alone=only is not None)
    needs = needed(settings)
    makers: dict[str, Callable[[], Service]] = {
        "llm": lambda: _llm(settings, servers["llm"], keys, needs),
        "voice": lambda: _voice(servers["voice"], keys, needs),
        "face": lambda: _face(servers["face"], keys, needs),
        PERFORMER: lambda: _performer(tuple(servers), made, needs),
    }
    shown = names if only in (None, PERFORMER) else starts
    return tuple(
        makers[name]() if name in starts else _asked(name, servers[name])
        for name in shown
        if name in starts or name in servers
    )


def local_services(settings: MachineSettings, *, only: str | None = None) -> tuple[Service, ...]:
    """Those of them that this machine starts. Raises ServicesError."""
    return tuple(service for service in wanted_services(settings, only=only) if service.command)


def needed(settings: MachineSettings) -> tuple[Need, ...]:
    """What they need of the GPUs of this machine, if it has any. Raises ServicesError."""
    servers = _servers(settings)
    found: list[Need | None] = []
    if _starts_here("llm", servers, settings):
        try:
            tokens = _context_tokens(settings, servers["llm"])
            found.append(llm_need(settings.services.llm_model, tokens, Catalog.read()))
        except WeightsError as error:
            raise ServicesError(f"UNDERSTUDY_SERVICES__LLM_MODEL: {error}") from None
    if _starts_here("voice", servers, settings):
        found.append(voice_need(settings.tts.fish_speech))
    if _starts_here("face", servers, settings):
        found.append(face_need("face", settings.face, "auto"))
    if _starts_here(PERFORMER, servers, settings):
        found += performer_needs(settings)
    return tuple(need for need in found if need is not None)


def environment_of(service: Service, inherited: Mapping[str, str]) -> dict[str, str]:
    """What a service inherits: everything but the keys and the token of others. Its log comes as it is written."""
    kept = {name: value for name, value in inherited.items() if not _hidden_from(service.name, name.upper())}
    shown = {name: secret.get_secret_value() for name, secret in service.secrets.items()}
    return {"PYTHONUNBUFFERED": "1", **kept, **service.environment, **shown}


def _hidden_from(service: str, variable: str) -> bool:
    """Whether a variable is private, or a whole section that something private may be in, and not of that service."""
    if service == PERFORMER:
        return False
    within = f"{variable}__"
    private = variable in _PRIVATE or any(name.startswith(within) for name in _PRIVATE)
    return private and not KEYS[service].startswith(within)


@dataclass(frozen=True, slots=True)
class _Server:
    """An engine that is reached by a URL, and the key for it."""

    url: str
    key: SecretStr | None
    first: bool
    """Not a fall-back."""
    context_tokens: int = 0


def _servers(settings: MachineSettings) -> dict[str, _Server]:
    """By name, what the engines and their fall-backs are reached at. Of several the one that can be ours gets the plain
    name, the others a number."""
    llms, voices, faces = settings.llm, settings.tts, settings.face
    wanted = {
        "llm": [
            _Server(llm.url, llm.key, llm is llms, llm.context_tokens)
            for llm in (llms, *llms.fallbacks)
            if llm.engine == "openai"
        ],
        "voice": [
            _Server(voice.fish_speech.url, voice.fish_speech.key, voice is voices)
            for voice in (voices, *voices.fallbacks)
            if voice.engine == "fish_speech"
        ],
        "face": [
            _Server(face.url, face.key, face is faces) for face in (faces, *faces.fallbacks) if face.engine == "remote"
        ],
    }
    found: dict[str, _Server] = {}
    for name, servers in wanted.items():
        different = list({server.url: server for server in reversed(servers)}.values())[::-1]
        ordered = sorted(different, key=lambda server: not is_ours(server.url))
        found |= {name if not number else f"{name}-{number + 1}": server for number, server in enumerate(ordered)}
    return found


def _starts_here(name: str, servers: Mapping[str, _Server], settings: MachineSettings) -> bool:
    if name not in settings.services.start:
        return False
    return name == PERFORMER or (name in servers and is_ours(servers[name].url))


def is_ours(url: str) -> bool:
    """Whether a server of ours can be what is reached by `url`: on loopback, without TLS, in the usual place."""
    parts = urlsplit(url)
    return is_loopback(parts.hostname or "") and parts.scheme == "http" and parts.path.rstrip("/") in ("", "/v1")


def _keys(servers: Mapping[str, _Server], starts: Sequence[str], *, alone: bool) -> tuple[Keys, Keys]:
    """By server, the key of each, and those of them that were made for this start.

    Raises ServicesError where one that is made would not reach both sides.
    """
    given = {name: server.key for name, server in servers.items() if server.key and server.key.get_secret_value()}
    made = {}
    for name in starts:
        if name in given or name == PERFORMER:
            continue
        if not servers[name].first:
            raise ServicesError(f"{name} is a fall-back here; give it a `key` where its `url` is set.")
        if alone or PERFORMER not in starts:
            raise ServicesError(
                f"{KEYS[name]} is not set; a service that is started without the performer needs a key that both "
                "know, for example what `openssl rand -hex 16` says."
            )
        made[name] = SecretStr(secrets.token_urlsafe(24))
    return {**given, **made}, made


def _llm(settings: MachineSettings, server: _Server, keys: Keys, needs: Needs) -> Service:
    host, port = address(server.url)
    command = _module("models.llm", "serve", "--model", settings.services.llm_model)
    command += ("--host", "127.0.0.1" if host == "localhost" else host, "--port", str(port))
    command += ("--context-tokens", str(_context_tokens(settings, server)))
    # Its own page about itself. A question about its models would wait for the model, and whatever waits for the model
    # cuts the answer off that it is giving (llama-cpp-python's interrupt_requests).
    health = Health("http", f"{_base(server)}/docs", every_s=ASKED_EVERY_S)
    return _started("llm", command, health, {}, keys, needs)


def _voice(server: _Server, keys: Keys, needs: Needs) -> Service:
    # A server that works answers nothing, not even for its health; it listens once it is ready.
    health = Health("tcp", _base(server))
    environment = {"UNDERSTUDY_TTS__FISH_SPEECH__URL": server.url}
    return _started("voice", _module("models.tts", "serve"), health, environment, keys, needs, stop_s=VOICE_STOP_S)


def _face(server: _Server, keys: Keys, needs: Needs) -> Service:
    health = Health("http", f"{_base(server)}/healthz", every_s=ASKED_EVERY_S)
    # What is shown when this face is not is the performer's business.
    environment = {"UNDERSTUDY_FACE__URL": server.url, "UNDERSTUDY_FACE__FALLBACKS": "[]"}
    return _started("face", _module("models.face", "serve"), health, environment, keys, needs)


def _performer(after: tuple[str, ...], made: Keys, needs: Needs) -> Service:
    return Service(
        PERFORMER,
        _module("peer_remote"),
        Health("process"),
        secrets={KEYS[name]: key for name, key in made.items()},
        after=after,
        stop_s=STOP_S,
        vram_gib=_gib(needs, PERFORMER),
    )


def _started(
    name: str,
    command: tuple[str, ...],
    health: Health,
    environment: Mapping[str, str],
    keys: Keys,
    needs: Needs,
    *,
    stop_s: float = STOP_S,
) -> Service:
    return Service(
        name,
        command,
        health,
        environment,
        {KEYS[name]: keys[name]},
        start_s=START_S[name],
        stop_s=stop_s,
        vram_gib=_gib(needs, name),
    )


def _asked(name: str, server: _Server) -> Service:
    """What another program starts on this machine is given as long as it takes; what runs elsewhere is there or not."""
    start_s = START_S.get(name, ELSEWHERE_START_S) if is_ours(server.url) else ELSEWHERE_START_S
    return Service(name, (), Health("tcp", _base(server), every_s=ASKED_EVERY_S), start_s=start_s)


def _module(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *words)


def _base(server: _Server) -> str:
    parts = urlsplit(server.url)
    return f"{parts.scheme}://{parts.netloc}"


def _context_tokens(settings: MachineSettings, server: _Server) -> int:
    return max(settings.services.llm_context_tokens, server.context_tokens)


def _gib(needs: Needs, service: str) -> float:
    return sum(need.gib for need in needs if need.service == service)
