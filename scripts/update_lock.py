"""Write requirements.lock: every package that development and CI need, pinned, with hashes, for all platforms.

    python scripts/update_lock.py            # newest versions that the requirements admit
    python scripts/update_lock.py --keep     # pins stay where they still fit: after a change of requirements*.txt

The resolver (uv) is installed in a temporary environment; nothing of the present one is changed.
"""

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = "3.10"  # Python


def main() -> int:
    """Resolve and write; returns the resolver's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="keep the pins that still fit")
    keep = parser.parse_args().keep
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        tools = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin")
        subprocess.run([tools / "python", "-m", "pip", "install", "--quiet", "uv"], check=True)
        options = ["--universal", "--generate-hashes", "--python-version", OLDEST, "--quiet"]
        options += ["--custom-compile-command", "python scripts/update_lock.py", *([] if keep else ["--upgrade"])]
        files = ["requirements-dev.txt", "--output-file", "requirements.lock"]
        command = [str(tools / "uv"), "pip", "compile", *options, *files]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
