"""What the doctor can do by itself, without being root."""

from collections.abc import Sequence

from models.errors import WeightsError
from peer_local.doctor.finding import Finding
from peer_local.doctor.machine import Machine
from peer_local.doctor.system import needed_models
from peer_local.errors import DeviceError
from peer_local.settings import Settings

REMOVE_CABLE = (
    "pactl list short modules | grep understudy_microphone | cut -f1 | sort -rn | xargs -n1 pactl unload-module"
)


def make_cable(machine: Machine, settings: Settings) -> list[str]:
    """Create the virtual microphone where it can be, and say so; before PortAudio lists what is there, once for all."""
    microphone = settings.microphone
    if machine.platform != "linux" or microphone.device is not None or microphone.kind == "none":
        return []
    try:
        if machine.cable_exists():
            return []
        machine.create_cable()
    except DeviceError as error:
        return [f"The virtual microphone could not be created. {error}"]
    return [
        f"Created the virtual microphone; it stays until the sound server restarts, or take it away: {REMOVE_CABLE}"
    ]


def fetch_weights(machine: Machine, settings: Settings, findings: Sequence[Finding]) -> list[str]:
    """Fetch weights that the findings miss, and say so. May take as long as a download."""
    if any(finding.id == "weights" and finding.verdict != "ok" for finding in findings):
        return [_weights(machine, settings)]
    return []


def _weights(machine: Machine, settings: Settings) -> str:
    directory = settings.weights.dir
    best = [models[0] for models in needed_models(machine, settings)]
    missing = [model for model in best if machine.weights_problem(model, directory)]
    if not missing:
        return "The weights are complete."
    try:
        machine.fetch_weights(missing, directory)
    except WeightsError as error:
        return f"The weights could not be fetched. {error}"
    return f"Fetched the weights of {', '.join(missing)}."
