"""A corpus of hostile checkpoints: everything by which a pickle can call something, in every container, and bombs.

Each entry is a file's name and its bytes. What is called would create a canary file (directly, or by the import of a
module that does); nothing may. Entries are small: what makes them dangerous is what a careless reader does with them.
"""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)


def text(value: str) -> bytes:
    """The opcode that pushes a text."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def named(module: str, name: str) -> bytes:
    """The opcode that pushes a global."""
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def zipped(data: bytes, storages: dict[str, bytes] | None = None, *, method: int = zipfile.ZIP_STORED) -> bytes:
    """A torch zip archive around a pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("a/data.pkl", data)
        archive.writestr("a/version", "3\n")
        for key, value in (storages or {}).items():
            archive.writestr(f"a/data/{key}", value)
    return stream.getvalue()


def legacy(data: bytes, rest: bytes = b"") -> bytes:
    """The stream of torch before 1.6 around a pickle."""
    return MAGIC + data + (rest or pickle.dumps([], 2))


def tarred(data: bytes, link: str | None = None) -> bytes:
    """The tar archive of torch before 0.1.10, optionally with a symbolic link for one of its members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            entry = tarfile.TarInfo(name)
            if link and name == "storages":
                entry.type, entry.linkname = tarfile.SYMTYPE, link
                archive.addfile(entry)
            else:
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def calls(canary: Path) -> dict[str, bytes]:
    """Pickles that call: every opcode that does, and the callables that attackers use."""
    shell = text(f"touch {canary}")
    python = text(f"open({str(canary)!r}, 'w').close()")
    system = named("os", "system")
    made = {
        "reduce": b"\x80\x02" + system + shell + b"\x85R.",
        "reduce-posix": b"\x80\x02" + named("posix", "system") + shell + b"\x85R.",
        "reduce-nt": b"\x80\x02" + named("nt", "system") + shell + b"\x85R.",
        "stack-global": b"\x80\x04" + text("os") + text("system") + b"\x93" + shell + b"\x85R.",
        "stack-global-memo": b"\x80\x04"
        + text("os")
        + b"\x94"
        + text("system")
        + b"\x940h\x00h\x01\x93"
        + shell
        + b"\x85R.",
        "inst": b"(S'touch " + str(canary).encode() + b"'\nios\nsystem\n.",
        "obj": b"(" + system + shell + b"o.",
        "newobj": b"\x80\x02" + named("subprocess", "Popen") + text("touch") + b"\x85\x81.",
        "newobj-ex": b"\x80\x04" + named("subprocess", "Popen") + b")}\x92.",
        "build-setstate": b"\x80\x02"
        + named("models.yolo", "Model")
        + b")\x81}"
        + text("__setstate__")
        + system
        + b"sb}b.",
        "build-global": b"\x80\x02" + named("models.yolo", "Model") + b"}" + text("__reduce__") + system + b"sb.",
        "build-slots": b"\x80\x02" + named("collections", "OrderedDict") + b"N}" + text("x") + system + b"s\x86b.",
        "ext1": b"\x80\x02\x82\x01)R.",
        "ext2": b"\x80\x02\x83\x01\x00)R.",
        "ext4": b"\x80\x02\x84\x01\x00\x00\x00)R.",
        "persid": b"P" + str(canary).encode() + b"\n.",
        "binpersid": b"\x80\x02" + system + shell + b"\x85RQ.",
        "binpersid-text": b"\x80\x02" + text(str(canary)) + b"Q.",
        "next-buffer": b"\x80\x05\x97.",
        "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
        "eval": b"\x80\x02" + named("builtins", "eval") + python + b"\x85R.",
        "eval-python2": b"\x80\x02" + named("__builtin__", "eval") + python + b"\x85R.",
        "exec": b"\x80\x02" + named("builtins", "exec") + python + b"\x85R.",
        "compile": b"\x80\x02" + named("builtins", "compile") + python + text("x") + text("exec") + b"\x87R.",
        "import": b"\x80\x02" + named("builtins", "__import__") + text("canary_module") + b"\x85R.",
        "import-module": b"\x80\x02" + named("importlib", "import_module") + text("canary_module") + b"\x85R.",
        "import-by-global": b"\x80\x02" + named("canary_module", "Model") + b")\x81.",
        "import-under-models": b"\x80\x02" + named("models.canary_module", "Model") + b")\x81}b.",
        "bound-class": b"\x80\x02" + named("models.common", "Trap") + b")\x81}" + text("a") + b"K\x01sb.",
        "bound-call": b"\x80\x02" + named("models.common", "Trap") + text("x") + b"\x85R.",
        "own-writer": b"\x80\x02"
        + named("models.weights.atomic_write", "write_atomically")
        + text(str(canary))
        + b"\x85R.",
        "getattr": b"\x80\x02" + named("builtins", "getattr") + named("models.yolo", "Model") + text("x") + b"\x86R.",
        "getattr-dotted": b"\x80\x04" + text("torch.nn") + text("modules.module.sys.modules") + b"\x93)R.",
        "dotted-torch": b"\x80\x04" + text("torch") + text("os.system") + b"\x93" + shell + b"\x85R.",
        "dotted-nn": b"\x80\x04" + text("torch.nn") + text("Module.__subclasses__") + b"\x93)R.",
        "partial": b"\x80\x02" + named("functools", "partial") + system + shell + b"\x86R)R.",
        "map": b"\x80\x02" + named("builtins", "map") + system + b"]" + shell + b"a\x86R.",
        "subprocess": b"\x80\x02" + named("subprocess", "check_call") + b"]" + text("touch") + b"a\x85R.",
        "runpy": b"\x80\x02" + named("runpy", "run_path") + text("canary_module.py") + b"\x85R.",
        "nested-pickle": b"\x80\x02" + named("pickle", "loads") + b"U\x05cos\n.\x85R.",
        "torch-load": b"\x80\x02" + named("torch", "load") + text("other.pt") + b"\x85R.",
        "torch-storage-bytes": b"\x80\x02" + named("torch.storage", "_load_from_bytes") + b"U\x01x\x85R.",
        "torch-hub": b"\x80\x02" + named("torch.hub", "load") + text("a/b") + b"\x85R.",
        "reconstructor": b"\x80\x02"
        + named("copyreg", "_reconstructor")
        + system
        + named("builtins", "object")
        + b"N\x87R.",
        "typed-tensor": b"\x80\x02" + named("torch._tensor", "_rebuild_from_type_v2") + system + b"N)Nt\x85R.",
        "numpy-scalar": b"\x80\x02"
        + named("numpy.core.multiarray", "scalar")
        + named("numpy", "dtype")
        + text("O8")
        + b"\x85RU\x08aaaaaaaa\x86R.",
        "call-a-call": b"\x80\x02" + named("models.yolo", "Model") + b")R)R.",
        "call-a-dict": b"\x80\x02})R.",
        "call-a-text": b"\x80\x02" + text("os.system") + shell + b"\x85R.",
    }
    head = made["reduce"][2:-1]
    made["nested-dict"] = b"\x80\x02}" + text("model") + b"}" + text("yaml") + b"]" + head + b"ass."
    made["nested-in-state"] = (
        b"\x80\x02}" + text("model") + named("models.yolo", "Model") + b")\x81}" + text("x") + head + b"sbs."
    )
    made["popped"] = b"\x80\x02" + head + b"0}."
    return made


@cache
def bombs() -> dict[str, bytes]:
    """Pickles and archives that are small and would cost a careless reader gigabytes or hours."""
    tensor = named("torch._utils", "_rebuild_tensor_v2")
    storage = b"(" + text("storage") + named("torch", "FloatStorage") + text("0") + text("cpu")

    def one(numel: bytes, size: bytes, stride: bytes, offset: bytes = b"K\x00") -> bytes:
        """A state dict with one tensor."""
        return (
            b"\x80\x02}"
            + text("w")
            + tensor
            + b"("
            + storage
            + numel
            + b"tQ"
            + offset
            + size
            + stride
            + b"\x89"
            + named("collections", "OrderedDict")
            + b")RtRs."
        )

    four, huge = {"0": bytes(16)}, b"\x8a\x06" + (1 << 40).to_bytes(6, "little")
    twice = [b"0]h" + bytes([i]) + b"ah" + bytes([i]) + b"aq" + bytes([i + 1]) for i in range(100)]
    shared = b"]q\x00" + b"".join(twice)
    module = named("models.yolo", "Model")
    tree = module + b")\x81}b"
    for index in range(60):
        tree += b"q" + bytes([index]) + b"0" + module + b")\x81}" + text("_modules") + b"}"
        tree += text("a") + b"h" + bytes([index]) + b"s" + text("b") + b"h" + bytes([index]) + b"ssb"
    sparse = bytearray(zipped(b"\x80\x02}.", {"0": bytes(64)}))
    at = sparse.rfind(b"PK\x05\x06")
    sparse[at + 12 : at + 16] = struct.pack("<I", 0x7FFFFFFF)
    claim = bytearray(zipped(b"\x80\x02}.", {"0": bytes(64)}))
    entry = claim.find(b"PK\x01\x02")
    claim[entry + 20 : entry + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    return {
        "huge-shape": zipped(one(b"K\x04", huge + b"\x85", b"K\x01\x85"), four),
        "huge-expanded": zipped(one(b"K\x04", huge + b"\x85", b"K\x00\x85"), four),
        "huge-storage": zipped(one(huge, huge + b"\x85", b"K\x01\x85"), four),
        "negative-shape": zipped(one(b"K\x04", b"J\xff\xff\xff\xff\x85", b"K\x01\x85"), four),
        "negative-offset": zipped(one(b"K\x04", b"K\x04\x85", b"K\x01\x85", b"J\xff\xff\xff\xff"), four),
        "beyond-the-end": zipped(one(b"K\x04", b"K\x04\x85", b"K\x01\x85", b"K\x01"), four),
        "stride-beyond": zipped(one(b"K\x04", b"K\x02\x85", b"K\x09\x85"), four),
        "many-dimensions": zipped(one(b"K\x04", b"(" + b"K\x01" * 40 + b"t", b"(" + b"K\x01" * 40 + b"t"), four),
        "shape-of-texts": zipped(one(b"K\x04", text("4") + b"\x85", b"K\x01\x85"), four),
        "short-storage": zipped(one(b"K\x04", b"K\x04\x85", b"K\x01\x85"), {"0": bytes(15)}),
        "no-storage": zipped(one(b"K\x04", b"K\x04\x85", b"K\x01\x85")),
        "legacy-huge-storage": legacy(
            one(b"K\x04", b"K\x04\x85", b"K\x01\x85"), pickle.dumps(["0"], 2) + struct.pack("<q", 1 << 50)
        ),
        "legacy-negative-storage": legacy(
            one(b"K\x04", b"K\x04\x85", b"K\x01\x85"), pickle.dumps(["0"], 2) + struct.pack("<q", -1)
        ),
        "compressed": zipped(b"\x80\x02]" + b"]0" * 7_000_000 + b".", method=zipfile.ZIP_DEFLATED),
        "compressed-tensor": zipped(
            one(b"J\x00\x00\x00\x10", b"J\x00\x00\x00\x10\x85", b"K\x01\x85"),
            {"0": bytes(1 << 20)},
            method=zipfile.ZIP_DEFLATED,
        ),
        "huge-text": zipped(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"a."),
        "huge-bytes": zipped(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"a."),
        "huge-integer": zipped(b"\x80\x02\x8b\xff\xff\xff\x7f."),
        "negative-integer": zipped(b"\x80\x02\x8b\xff\xff\xff\xff."),
        "huge-decimal": zipped(b"I" + b"9" * 1_000_000 + b"\n."),
        "huge-frame": zipped(b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"}."),
        "huge-memo": zipped(b"\x80\x02}r\xff\xff\xff\x7f."),
        "bytearray-call": zipped(b"\x80\x02" + named("builtins", "bytearray") + huge + b"\x85R."),
        "range-call": zipped(
            b"\x80\x02" + named("builtins", "list") + named("builtins", "range") + huge + b"\x85R\x85R."
        ),
        "tensor-call": zipped(b"\x80\x02" + named("torch", "FloatTensor") + huge + b"\x85R."),
        "tensor-size-call": zipped(b"\x80\x02" + named("torch", "Tensor") + huge + b"\x85R."),
        "many-sets": zipped(b"\x80\x04(" + b"\x8f" * 1_100_000 + b"t."),
        "many-opcodes": zipped(b"\x80\x02" + b"N0" * 600_000 + b"N."),
        "long-pickle": zipped(b"\x80\x02" + b"N0" * 9_000_000 + b"N."),
        "deep-tuples": zipped(b"\x80\x02)" + b"\x85" * 200_000 + b"."),
        "deep-lists": zipped(b"\x80\x02}" + text("format") + b"]" * 100_000 + b"a" * 99_999 + b"s."),
        "laughing-lists": zipped(b"\x80\x02}" + text("model") + shared + b"s."),
        "laughing-ours": zipped(
            b"\x80\x02}(" + text("format") + text("yolo-attention/1") + text("spec") + shared + b"u."
        ),
        "laughing-tuple-key": zipped(b"\x80\x02}" + b")" + b"2\x86" * 60 + b"K\x01s."),
        "laughing-set": zipped(b"\x80\x04\x8f()" + b"2\x86" * 60 + b"\x90."),
        "laughing-modules": zipped(b"\x80\x02}" + text("model") + tree + b"s."),
        "own-child": zipped(
            b"\x80\x02}" + text("model") + module + b")\x81q\x00}" + text("_modules") + b"}" + text("a") + b"h\x00ssbs."
        ),
        "own-item": zipped(b"\x80\x02}q\x00(" + text("format") + text("yolo-attention/1") + text("spec") + b"h\x00u."),
        "huge-keys": zipped(
            b"\x80\x02}("
            + b"".join(b"\x8a\x10" + (i * ((1 << 61) - 1)).to_bytes(16, "little") + b"N" for i in range(20_000))
            + b"u."
        ),
        "directory-claims": bytes(sparse),
        "entry-claims": bytes(claim),
    }


def corpus(canary: Path) -> Iterator[tuple[str, bytes]]:
    """All hostile files: name and content."""
    for name, data in calls(canary).items():
        yield f"zip-{name}.pt", zipped(data)
        yield f"legacy-{name}.pt", legacy(data)
        yield f"legacy-first-{name}.pt", data + MAGIC
    for name in ("reduce", "stack-global", "obj"):
        data = calls(canary)[name]
        yield f"tar-{name}.pt", tarred(data)
        yield f"tar-link-{name}.pt", tarred(data, link=str(canary))
        yield f"bare-{name}.pt", data
        yield f"safetensors-{name}.safetensors", struct.pack("<Q", len(data)) + data
    for name, data in bombs().items():
        yield f"bomb-{name}.pt", data
    yield "link-in-zip.pt", _zip_with_link(str(canary))
    yield "outside-names.pt", _zip_with_names("../data.pkl", "/data.pkl")
    yield "two-pickles.pt", _zip_with_names("a/data.pkl", "b/data.pkl")
    yield "torchscript.pt", _zip_with_names("a/data.pkl", "a/constants.pkl")
    header = _header("4", "0,16")
    yield "st-huge-header.safetensors", struct.pack("<Q", 1 << 60) + header
    yield "st-header-to-the-end.safetensors", struct.pack("<Q", len(header) + 1) + header
    yield "st-short.safetensors", struct.pack("<Q", len(header)) + header + bytes(8)
    yield "st-huge-shape.safetensors", _safetensors(_header("1152921504606846976", "0,16"))
    yield "st-negative.safetensors", _safetensors(_header("4", "-16,0"))
    yield "st-not-json.safetensors", _safetensors(b"{" * 500)
    yield "st-deep.safetensors", _safetensors(b"[" * 100_000)


def _header(shape: str, offsets: str) -> bytes:
    return f'{{"w":{{"dtype":"F32","shape":[{shape}],"data_offsets":[{offsets}]}}}}'.encode()


def _safetensors(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + bytes(16)


def _zip_with_names(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"\x80\x02}.")
    return stream.getvalue()


def _zip_with_link(target: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        link = zipfile.ZipInfo("a/data/0")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, target)
    return stream.getvalue()
