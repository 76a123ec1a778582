"""What the doctor can do by itself, without being root."""

from collections.abc import Sequence

from models.errors import WeightsError
from peer_local.doctor.finding import Finding
from peer_local.doctor.machine import Machine
from peer_local.doctor.system import needed_models
from peer_local.errors import DeviceError
from peer_local.settings import Settings

FIXABLE = ("virtual_microphone", "weights")


def fix(machine: Machine, settings: Settings, findings: Sequence[Finding]) -> list[str]:
    """Mend what can be mended; one sentence for each thing that was tried. May take as long as a download."""
    wrong = {finding.id for finding in findings if finding.verdict != "ok"}
    done = []
    if "virtual_microphone" in wrong and machine.platform == "linux" and settings.microphone.device is None:
        done.append(_cable(machine))
    if "weights" in wrong:
        done.append(_weights(machine, settings))
    return done or ["There is nothing that --fix can do; see the next steps."]


def _cable(machine: Machine) -> str:
    try:
        if machine.cable_exists():
            return "The virtual microphone is there already; what keeps PortAudio from it needs root."
        machine.create_cable()
    except DeviceError as error:
        return f"The virtual microphone could not be created. {error}"
    return "The virtual microphone was created; it stays until the sound server restarts."


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
