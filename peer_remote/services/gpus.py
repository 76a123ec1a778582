"""The GPUs of this machine, as NVIDIA's driver tells."""

import csv
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

TIMEOUT_S: Final = 10.0
"""The first question wakes a sleeping driver, which takes seconds."""
_FIELDS: Final = "index,uuid,name,memory.total,memory.used"


@dataclass(frozen=True, slots=True)
class Gpu:
    name: str
    gib: float
    id: str = ""
    """What CUDA_VISIBLE_DEVICES takes: unlike numbers, it means the same to every library."""
    used_gib: float = 0.0


def seen_gpus(environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """Those that CUDA_VISIBLE_DEVICES leaves us; none where there is no driver, or where it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        answer = subprocess.run(
            [program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse(answer.stdout, environment.get("CUDA_VISIBLE_DEVICES")) if answer.returncode == 0 else ()


def parse(table: str, visible: str | None = None) -> tuple[Gpu, ...]:
    """What nvidia-smi printed, a line for each; sizes are in MiB. `visible` names GPUs by number or by UUID."""
    found: dict[str, Gpu] = {}
    for row in csv.reader(table.splitlines(), skipinitialspace=True):
        if len(row) != 5:
            continue
        index, uuid, name, total_mib, used_mib = row
        try:
            found[index] = Gpu(name, float(total_mib) / 1024, uuid, float(used_mib) / 1024)
        except ValueError:  # "[N/A]" where the memory is the machine's own
            continue
    if visible is None:
        return tuple(found.values())
    wanted = [part.strip() for part in visible.split(",")]
    return tuple(
        gpu
        for index, gpu in found.items()
        if any(part and (part == index or gpu.id.startswith(part)) for part in wanted)
    )
