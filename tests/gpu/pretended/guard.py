"""Compile guard.cpp, and load it before PyTorch."""

import ctypes
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

SOURCE = Path(__file__).with_name("guard.cpp")


def possible() -> str:
    """Return why this machine cannot pretend a GPU; empty where it can."""
    if not sys.platform.startswith("linux"):
        return "guard.cpp was written for Linux"
    return "" if shutil.which("g++") else "there is no g++ to compile guard.cpp"


def torch_folder() -> Path:
    """Return the folder of the torch package, without importing it."""
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def compiled() -> Path:
    """Return the library, compiled unless it was before for this PyTorch."""
    how = SOURCE.read_bytes() + Path(__file__).read_bytes()
    key = hashlib.sha256(how + version("torch").encode() + str(torch_folder()).encode()).hexdigest()
    path = Path(tempfile.gettempdir()) / f"pretended-gpu-{key[:16]}.so"
    if not path.exists():
        torch = torch_folder()
        newer = (
            b"B5cxx11" in (torch / "lib" / "libc10.so").read_bytes()
        )  # the C++ library's strings that it was built with
        made = path.with_suffix(f".{id(path)}.so")
        command = ["g++", "-O1", "-std=c++20", "-shared", "-fPIC", f"-I{torch / 'include'}", str(SOURCE)]
        command.append(f"-D_GLIBCXX_USE_CXX11_ABI={int(newer)}")
        subprocess.run([*command, "-o", str(made), f"-L{torch / 'lib'}", "-lc10", "-ltorch_cpu"], check=True)
        made.replace(path)
    return path


def load() -> None:
    """Load the library around `import torch`: its hooks must come first, its guard last."""
    if "torch" in sys.modules:
        raise RuntimeError("the pretended GPU has to be there before torch is imported")
    for name in ("libc10.so", "libtorch_cpu.so"):
        ctypes.CDLL(str(torch_folder() / "lib" / name), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(compiled()))
    import torch  # noqa: F401

    library.take_over()
