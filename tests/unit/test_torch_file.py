"""Files of torch's first format: their tensors are read, and nothing that they ask for is run."""

import struct
from pathlib import Path

import numpy as np
import pytest

from models.errors import WeightsCorrupt
from models.interfaces import Samples
from models.tts.torch_file import read_tensors

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
VERSION = b"\x80\x02M\xe9\x03."
MACHINE = b"\x80\x02}."


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def tensor(key: str, shape: tuple[int, ...], strides: tuple[int, ...], kind: str = "FloatStorage") -> bytes:
    size = b"J" + struct.pack("<i", int(np.prod(shape)))
    storage = b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + size + b"NtQ"
    arguments = b"(" + storage + b"K\0" + numbers(*shape) + numbers(*strides) + b"\x89Nt"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def file_of(path: Path, entries: dict[str, bytes], storages: dict[str, Samples]) -> Path:
    inner = b"}(" + b"".join(text(name) + entry for name, entry in entries.items()) + b"u"
    keys = b"\x80\x02](" + b"".join(map(text, storages)) + b"e."
    data = b"".join(struct.pack("<q", storage.size) + storage.tobytes() for storage in storages.values())
    path.write_bytes(MAGIC + VERSION + MACHINE + b"\x80\x02}" + text("state") + inner + b"s." + keys + data)
    return path


def test_tensors_are_read_as_they_were_written(tmp_path: Path) -> None:
    matrix, vector = np.arange(6, dtype=np.float32), np.array([7, 8], np.float32)
    entries = {"weight": tensor("0", (2, 3), (3, 1)), "bias": tensor("1", (2,), (1,))}
    found = read_tensors(file_of(tmp_path / "a.pt", entries, {"0": matrix, "1": vector}), "state", ["weight", "bias"])
    assert found["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["bias"].tolist() == [7, 8]


def test_a_file_that_asks_for_a_program_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    victim = tmp_path / "run"
    command = b"cos\nsystem\n(" + text(f"touch {victim}") + b"tR"
    file = file_of(tmp_path / "a.pt", {"weight": command}, {})
    with pytest.raises(WeightsCorrupt, match=r"a\.pt"):
        read_tensors(file, "state", ["weight"])
    assert not victim.exists()


@pytest.mark.parametrize(
    ("entry", "numbers_there"),
    [
        (tensor("0", (2, 3), (3, 1)), 5),
        (tensor("0", (2, 3), (1, 2)), 6),
        (tensor("0", (2, 3), (3, 1), "ByteStorage"), 6),
        (tensor("9", (2, 3), (3, 1)), 6),
        (b"N", 6),
    ],
)
def test_a_file_that_is_not_what_it_should_be_says_so(tmp_path: Path, entry: bytes, numbers_there: int) -> None:
    file = file_of(tmp_path / "a.pt", {"weight": entry}, {"0": np.zeros(numbers_there, np.float32)})
    with pytest.raises(WeightsCorrupt, match="fetch the weights again"):
        read_tensors(file, "state", ["weight"])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", MAGIC, MAGIC + VERSION + MACHINE + b"\x80\x02}."])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(WeightsCorrupt):
        read_tensors(tmp_path / "a.pt", "state", ["weight"])


def test_a_length_beyond_all_bounds_makes_a_file_a_damaged_one(tmp_path: Path) -> None:
    file = file_of(tmp_path / "a.pt", {"weight": b"\x8d" + b"\xff" * 8}, {})
    with pytest.raises(WeightsCorrupt):
        read_tensors(file, "state", ["weight"])
