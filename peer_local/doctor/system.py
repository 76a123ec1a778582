"""The machine itself: Python, processor, memory, GPU, weights."""

from models.asr.choice import choices
from models.errors import EngineUnavailable
from peer_local.doctor.finding import Finding, step
from peer_local.doctor.machine import Machine
from peer_local.settings import Settings

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
FEWEST_CORES = 2
LEAST_MEMORY_GIB, ENOUGH_MEMORY_GIB = 2.0, 4.0
SMART_TURN = "smart-turn-v3.2"


def python(machine: Machine, settings: Settings) -> Finding:
    version = ".".join(map(str, machine.python))
    if OLDEST_PYTHON <= machine.python[:2] <= NEWEST_PYTHON:
        return Finding("python", "Python", "ok", version)
    wanted = step(
        machine.platform,
        {
            "linux": "sudo apt-get install -y python3.11 python3.11-venv, then make setup",
            "win32": "winget install Python.Python.3.12, then python deploy/bootstrap.py setup",
            "darwin": "brew install python@3.12, then make setup",
        },
    )
    return Finding("python", "Python", "fail", f"{version}; it needs 3.11 to 3.13", wanted)


def processor(machine: Machine, settings: Settings) -> Finding:
    cores, avx2 = machine.cores(), machine.has_avx2()
    found = f"{cores} core{'s' if cores != 1 else ''}{'' if avx2 is None else ', AVX2' if avx2 else ', no AVX2'}"
    if cores < FEWEST_CORES:
        reason = "Close other programs during the call; with one core the ears are late."
        return Finding("processor", "Processor", "warning", found, reason)
    if avx2 is False:
        reason = (
            "Choose a smaller model: UNDERSTUDY_ASR__MODEL=whisper-tiny.en in .env; without AVX2 answers come late."
        )
        return Finding("processor", "Processor", "warning", found, reason)
    return Finding("processor", "Processor", "ok", found)


def memory(machine: Machine, settings: Settings) -> Finding:
    size_bytes = machine.memory_bytes()
    if size_bytes is None:
        return Finding("memory", "Memory", "warning", "its size is not known")
    size_gib = size_bytes / (1 << 30)
    found = f"{size_gib:.1f} GiB"
    if size_gib >= ENOUGH_MEMORY_GIB:
        return Finding("memory", "Memory", "ok", found)
    smaller = "Close other programs, and choose a smaller model: UNDERSTUDY_ASR__MODEL=whisper-tiny.en in .env."
    return Finding("memory", "Memory", "warning" if size_gib >= LEAST_MEMORY_GIB else "fail", found, smaller)


def gpu(machine: Machine, settings: Settings) -> Finding:
    count = machine.cuda_devices()
    if count:
        return Finding("gpu", "GPU for the ears", "ok", f"{count} CUDA device{'s' if count > 1 else ''}")
    asr = settings.asr
    if asr.engine == "faster_whisper" and asr.device == "cuda":
        return Finding(
            "gpu",
            "GPU for the ears",
            "fail",
            "none, but asr.device asks for one",
            "UNDERSTUDY_ASR__DEVICE=auto in .env",
        )
    if asr.engine == "faster_whisper" and "large" in asr.model:
        smaller = "UNDERSTUDY_ASR__MODEL=auto in .env; on the processor the large model is too slow for a conversation."
        return Finding("gpu", "GPU for the ears", "warning", f"none for {asr.model}", smaller)
    return Finding("gpu", "GPU for the ears", "ok", "none; the processor does it")


def weights(machine: Machine, settings: Settings) -> Finding:
    alternatives = needed_models(machine, settings)
    missing, used = [], []
    spare = False
    for models in alternatives:
        there = [model for model in models if not machine.weights_problem(model, settings.weights.dir)]
        used += there[:1]
        if there[:1] != [models[0]]:
            missing.append(models[0])
            spare = bool(there)
    if not missing:
        return Finding("weights", "Weights", "ok", ", ".join(used) or "none are needed")
    command = f'make fetch ARGS="{" ".join(missing)}", or make local ARGS="doctor --fix"'
    if spare and len(used) == len(alternatives):
        found = f"{', '.join(missing)} missing; {', '.join(used)} in its place"
        return Finding("weights", "Weights", "warning", found, command)
    return Finding("weights", "Weights", "fail", f"missing or damaged: {', '.join(missing)}", command)


def needed_models(machine: Machine, settings: Settings) -> list[list[str]]:
    """Weights that the configured ears load, for each engine the best first and then what does in its place.

    The voice activity detector brings its own.
    """
    if settings.ears.source == "none":
        return []
    needed = [[SMART_TURN]] if settings.turn.engine == "smart_turn" else []
    if settings.asr.engine != "faster_whisper":
        return needed
    try:
        whisper = [choice.model for choice in choices(settings.asr, gpus=machine.cuda_devices())]
    except EngineUnavailable:  # the finding about the GPU says so
        whisper = [settings.asr.model] if settings.asr.model != "auto" else []
    return [list(dict.fromkeys(whisper)), *needed] if whisper else needed
