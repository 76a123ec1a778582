"""The pinned commit asks for torch below 2.9; on a later one, what it needs of torchaudio is put back."""

from importlib import import_module
from typing import Any


def mend() -> None:
    """Give torchaudio `list_audio_backends` again, and let `load` read with soundfile. Later calls change nothing."""
    torchaudio: Any = import_module("torchaudio")
    if hasattr(torchaudio, "list_audio_backends"):
        return
    soundfile: Any = import_module("soundfile")
    torch: Any = import_module("torch")

    def load(file: Any, *_: Any, **__: Any) -> tuple[Any, int]:
        samples, rate_hz = soundfile.read(file, dtype="float32", always_2d=True)
        return torch.from_numpy(samples.T.copy()), rate_hz

    torchaudio.list_audio_backends = lambda: ["soundfile"]
    torchaudio.load = load
