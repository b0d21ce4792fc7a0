"""Open the files that torch.save writes, without torch.load: the inert pickle and the raw numbers beside it.

Three containers occur: the zip archive (torch 1.6 and later), the stream of pickles before it, and a tar archive before
0.1.10, which torch itself no longer reads safely and which is refused here. Nothing is unpacked to the disk, so links
and paths inside an archive mean nothing.
"""

from __future__ import annotations

import io
import math
import stat
import struct
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch

from models.errors import CheckpointError
from models.weights.safe_pickle.allowlist import STORAGES, AllowedGlobals
from models.weights.safe_pickle.unpickler import MAX_BYTES, unpickle
from models.weights.safe_pickle.values import Global, StorageRef, TensorRef

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_MAX_DIRECTORY = 64 << 20  # the largest official file needs 0.2 MB for its table of contents


class TorchFile:
    """An opened checkpoint: `root` is the inert content, `tensor` reads one of its tensors.

    Args:
        path: the file, for messages.
        size: its bytes.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self.root: Any = None
        self._storages: dict[str, torch.Tensor] = {}
        self._read = 0
        self._given = 0

    def tensor(self, ref: TensorRef) -> torch.Tensor:
        """Return the tensor itself, contiguous and on its own memory, in the file's dtype.

        Raises:
            CheckpointError: if it does not fit its storage, or the tensors together are larger than the file.
        """
        numel = math.prod(ref.size)
        last = ref.offset + sum((size - 1) * step for size, step in zip(ref.size, ref.stride, strict=False))
        if len(ref.size) != len(ref.stride) or numel > ref.storage.numel or (numel and last >= ref.storage.numel):
            raise CheckpointError(
                f"{self.path}: a tensor of shape {ref.size} does not fit its storage of {ref.storage.numel} numbers; "
                "the file is damaged"
            )
        self._given += numel
        if self._given > 2 * self.size:  # shared tensors may be given twice; more than that is a bomb
            raise CheckpointError(f"{self.path}: its tensors are larger than the file; it is damaged")
        flat = self._storage(ref.storage)
        return torch.as_strided(flat, ref.size, ref.stride, ref.offset).clone(memory_format=torch.contiguous_format)

    def _storage(self, ref: StorageRef) -> torch.Tensor:
        dtype: torch.dtype = getattr(torch, STORAGES[ref.kind])
        key = f"{ref.kind}:{ref.key}"
        if key not in self._storages:
            length = ref.numel * dtype.itemsize
            self._read += length
            if self._read > 2 * self.size:
                raise CheckpointError(f"{self.path}: its tensors are larger than the file; it is damaged or cut off")
            with _explained(self.path):
                data = bytearray(self.read(ref.key, length))
            if len(data) != length:
                raise CheckpointError(
                    f"{self.path}: a tensor has {len(data)} of {length} bytes; the file is damaged or cut off"
                )
            self._storages[key] = torch.frombuffer(data, dtype=dtype) if length else torch.empty(0, dtype=dtype)
        if len(self._storages[key]) != ref.numel:
            raise CheckpointError(f"{self.path}: one storage with two sizes; the file is damaged")
        return self._storages[key]

    def read(self, key: str, length: int) -> bytes:
        """Return the `length` bytes of a storage."""
        raise NotImplementedError

    def persistent(self, identity: Any) -> StorageRef | Global:
        """Return what a persistent id means: a storage, or a class beside its source (streams before torch 1.6)."""
        match identity:
            case ("storage", Global(module="torch", name=name), str(key), _, int(numel), *view):
                if name in STORAGES and 0 <= numel < 1 << 48 and all(part is None for part in view):
                    return StorageRef(name, key, numel)
                raise CheckpointError(f"{self.path}: a {name} is not supported; save the tensors as float32")
            case ("module", Global() as kind, _, _):
                return kind
        raise CheckpointError(f"{self.path}: the pickle refers to something outside the file; refused")


class _ZipTorchFile(TorchFile):
    def __init__(self, path: Path, stream: BinaryIO, size: int, stand_ins: bool) -> None:
        super().__init__(path, size)
        _check_directory(path, stream, size)
        self.archive = zipfile.ZipFile(stream)
        self.entries = {entry.filename: entry for entry in self.archive.infolist()}
        self.prefix = self._find_prefix()
        if self._bytes("byteorder", 16, b"little") != b"little" or sys.byteorder != "little":
            raise CheckpointError(f"{path}: written on a big-endian machine; save it again on a little-endian one")
        names = AllowedGlobals(str(path), stand_ins)
        self.root = unpickle(str(path), self._bytes("data.pkl", MAX_BYTES), names.find, names.call, self.persistent)

    def _find_prefix(self) -> str:
        pickles = [name for name in self.entries if name.rpartition("/")[2] == "data.pkl" and name.count("/") <= 1]
        if any(name.rpartition("/")[2] == "constants.pkl" for name in self.entries):
            raise CheckpointError(
                f"{self.path}: a TorchScript export, not a checkpoint; give the .pt file that it was made from"
            )
        if len(pickles) != 1:
            raise CheckpointError(
                f"{self.path}: a zip archive with {len(pickles)} data.pkl instead of one; not a torch checkpoint"
            )
        return pickles[0].removesuffix("data.pkl")

    def _bytes(self, name: str, limit: int, default: bytes | None = None) -> bytes:
        entry = self.entries.get(self.prefix + name)
        if entry is None:
            if default is not None:
                return default
            raise CheckpointError(f"{self.path}: the part {name} is missing; the file is damaged or cut off")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise CheckpointError(
                f"{self.path}: the part {name} is compressed or encrypted, which torch.save never does; refused"
            )
        if entry.file_size > min(limit, self.size):
            raise CheckpointError(f"{self.path}: the part {name} claims {entry.file_size} bytes; the file is damaged")
        return self.archive.read(entry)

    def read(self, key: str, length: int) -> bytes:
        return self._bytes(f"data/{key}", length)


class _LegacyTorchFile(TorchFile):
    def __init__(self, path: Path, stream: BinaryIO, size: int, stand_ins: bool) -> None:
        super().__init__(path, size)
        self.stream = stream
        self.kinds: dict[str, str] = {}
        names = AllowedGlobals(str(path), stand_ins)

        def part() -> Any:
            return unpickle(str(path), stream, names.find, names.call, self.persistent)

        if part() != _LEGACY_MAGIC or part() != _LEGACY_PROTOCOL:
            raise CheckpointError(
                f"{path}: a pickle, but not one that torch.save wrote; give a .pt or .safetensors checkpoint"
            )
        machine = part()
        if type(machine) is not dict or machine.get("little_endian") is not True:
            raise CheckpointError(f"{path}: written on a big-endian machine; save it again on a little-endian one")
        self.root = part()
        self.positions = self._positions(part())

    def persistent(self, identity: Any) -> StorageRef | Global:
        ref = super().persistent(identity)
        if isinstance(ref, StorageRef):
            self.kinds[ref.key] = ref.kind
        return ref

    def _positions(self, keys: Any) -> dict[str, tuple[int, int]]:
        """Return where each storage lies: key → (position, bytes); each is preceded by its number of elements."""
        if type(keys) is not list or not all(type(key) is str and key in self.kinds for key in keys):
            raise CheckpointError(f"{self.path}: the list of storages is damaged")
        positions, position = {}, self.stream.tell()
        for key in keys:
            self.stream.seek(position)
            header = self.stream.read(8)
            if len(header) < 8:
                raise CheckpointError(f"{self.path}: ends before its last tensor; the file is cut off")
            length = struct.unpack("<q", header)[0] * getattr(torch, STORAGES[self.kinds[key]]).itemsize
            if not 0 <= length <= self.size:
                raise CheckpointError(f"{self.path}: a storage claims {length} bytes; the file is damaged")
            positions[key] = (position + 8, length)
            position += 8 + length
        return positions

    def read(self, key: str, length: int) -> bytes:
        position, stored = self.positions.get(key, (0, -1))
        if stored != length:
            raise CheckpointError(
                f"{self.path}: a tensor of {length} bytes lies in a storage of {stored}; the file is damaged"
            )
        self.stream.seek(position)
        return self.stream.read(length)


@contextmanager
def open_torch_file(path: Path, stand_ins: bool) -> Iterator[TorchFile]:
    """Open a checkpoint of torch.save.

    Args:
        path: the file.
        stand_ins: admit classes of neural networks as inert stand-ins; see `models.weights.safe_pickle.allowlist`.

    Raises:
        CheckpointError: if it is missing, no checkpoint, damaged, or asks for something that is refused.
    """
    check_regular(path)
    with _explained(path):
        stream = path.open("rb")
    with stream:
        with _explained(path):
            file = _opened(path, stream, stand_ins)
        yield file


def check_regular(path: Path) -> None:
    """Refuse what is no file, or would never end (pipes, devices).

    Raises:
        CheckpointError: saying what it is.
    """
    with _explained(path):
        mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise CheckpointError(f"{path}: a folder; give the .pt or .safetensors file in it")
    if not stat.S_ISREG(mode):
        raise CheckpointError(f"{path}: a pipe or device; give a .pt or .safetensors file")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading into CheckpointError."""
    try:
        yield
    except CheckpointError:
        raise
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (zipfile.BadZipFile, struct.error, EOFError, RuntimeError, ValueError, LookupError, MemoryError) as error:
        text = " ".join(str(error).split())[:120] or type(error).__name__
        raise CheckpointError(f"{path}: the archive is damaged or cut off ({text})") from None


def _opened(path: Path, stream: BinaryIO, stand_ins: bool) -> TorchFile:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(512)
    stream.seek(0)
    if head.startswith(b"PK\x03\x04"):
        return _ZipTorchFile(path, stream, size, stand_ins)
    if head[:1] == b"\x80":
        return _LegacyTorchFile(path, stream, size, stand_ins)
    raise CheckpointError(f"{path}: {_guess(head)}; give a .pt or .safetensors checkpoint")


def _guess(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head[257:262] == b"ustar":
        return "a tar archive (torch before 0.1.10), which is not read because it cannot be checked"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer instead of the weights (run: git lfs pull)"
    if head.lstrip()[:1] == b"<":
        return "a web page instead of weights (the download failed)"
    return "not a torch checkpoint"


def _check_directory(path: Path, stream: BinaryIO, size: int) -> None:
    """Refuse a table of contents that zipfile would need much memory for; it reads the whole of it at once."""
    stream.seek(max(0, size - (1 << 16) - 22))
    tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise CheckpointError(f"{path}: the archive has no table of contents; the file is cut off")
    length = struct.unpack_from("<I", tail, at + 12)[0]
    at = tail.rfind(b"PK\x06\x06")
    if length == 0xFFFFFFFF and at >= 0 and len(tail) - at >= 56:
        length = struct.unpack_from("<Q", tail, at + 40)[0]
    if length > min(size, _MAX_DIRECTORY):
        raise CheckpointError(f"{path}: the archive's table of contents claims {length} bytes; the file is damaged")
    stream.seek(0)
