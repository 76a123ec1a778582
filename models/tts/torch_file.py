"""Reads tensors from a file of torch.save's first format without torch, and without running what a pickle holds.

The file is five pickles one after the other (a magic number, the format's version, the machine, the object, the names
of its storages), then for each storage its length as int64 and its numbers (torch/serialization.py, _legacy_save). Of
what the pickle names only the four things below are known; any other name makes the file a damaged one.
"""

import io
import pickle
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import WeightsCorrupt
from models.interfaces import Samples

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_VERSION: Final = 1001


@dataclass(frozen=True, slots=True)
class _Place:
    """A tensor before its numbers are read: which storage it is a view of."""

    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Float:
    """Stands for torch.FloatStorage."""


class _Long:
    """Stands for torch.LongStorage."""


_TYPES: Final[Mapping[type, str]] = {_Float: "<f4", _Long: "<i8"}


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.types: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch", "FloatStorage"): _Float,
            ("torch", "LongStorage"): _Long,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a file of tensors")
        return known[module, name]

    def persistent_load(self, pid: Any) -> str:
        _, kind, key, *_ = pid
        self.types[key] = _TYPES[kind]
        return str(key)


def _tensor(key: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Place:
    return _Place(key, offset, shape, strides)


def read_tensors(path: Path, part: str, names: Iterable[str]) -> dict[str, Samples]:
    """The tensors `names` of the dictionary `part` in the file, as float32. Raises WeightsCorrupt."""
    try:
        file = io.BytesIO(path.read_bytes())
        if (_Reader(file).load(), _Reader(file).load()) != (_MAGIC, _VERSION):
            raise ValueError("another format")
        _Reader(file).load()
        reader = _Reader(file)
        places = reader.load()[part]
        numbers = _storages(file, _Reader(file).load(), reader.types)
        return {name: _view(places[name], numbers) for name in names}
    except (
        *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError),
        *(OverflowError, MemoryError, pickle.UnpicklingError),
    ) as error:
        raise WeightsCorrupt(f"{path.name} is not the file that it should be; fetch the weights again.") from error


def _storages(file: io.BytesIO, keys: list[str], types: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    found = {}
    for key in keys:
        (length,) = np.frombuffer(file.read(8), "<i8").tolist()
        kind = np.dtype(types[key])
        found[key] = np.frombuffer(file.read(length * kind.itemsize), kind, count=length)
    return found


def _view(place: _Place, numbers: Mapping[str, NDArray[Any]]) -> Samples:
    storage = numbers[place.key]
    size = int(np.prod(place.shape))
    contiguous = tuple(int(np.prod(place.shape[axis + 1 :])) for axis in range(len(place.shape)))
    if place.strides != contiguous or len(storage) < place.offset + size:
        raise ValueError("a tensor that does not lie as a whole in its storage")
    return storage[place.offset : place.offset + size].reshape(place.shape).astype(np.float32)
