"""Say whether another release of ultralytics can be adopted: python scripts/try_ultralytics.py 8.4.191 [--all]

The release is put into a temporary folder in front of the installed one, and the contract tests run against it: they
name every assumption that no longer holds. --all adds the engine's other tests and whole runs of the scripts. To adopt
it, write the version into requirements.txt and models/upstream/patches.py, then run scripts/update_lock.py.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONTRACT = ["tests/engine/runtime/test_ultralytics_contract.py"]
ALL = [
    "tests/engine",
    "tests/models/catalog/test_ultralytics_layers.py",
    "tests/integration/e2e/test_train_val_detect.py",
]


def main() -> int:
    """Install, test, say; returns 0 if nothing stands against the release."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version")
    parser.add_argument("--all", action="store_true", help="run the engine's other tests and whole runs, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"ultralytics=={args.version}"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, wanted]
        if subprocess.run(command, check=False).returncode:
            print(f"{wanted} cannot be installed")
            return 2
        environment = os.environ | {"PYTHONPATH": folder, "YOLO_ATTENTION_TRY_ULTRALYTICS": args.version}
        command = [sys.executable, "-m", "pytest", "-q", *(ALL if args.all else CONTRACT)]
        broken = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    if broken:
        print(f"{wanted} cannot be adopted as it stands: the failures above say what it changed")
    else:
        print(f"{wanted} can be adopted{'' if args.all else ' as far as the contract goes; --all runs everything'}")
    return broken


if __name__ == "__main__":
    sys.exit(main())
