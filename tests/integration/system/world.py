"""Running the entry scripts in a world of their own: own checkout, home and temporary folder, and no network."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

# Not part of what is run, or written by tools of development.
NOT_COPIED = (".git", ".venv", "runs", "datasets", "tests", "__pycache__", ".*_cache", ".hypothesis", ".cache")
# Read by every Python process that is started in the world, children included: notes who wants to talk to whom.
WATCHER = """
import os, sys

def _note(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        target = arguments[0] if event == "socket.getaddrinfo" else arguments[-1]
        if isinstance(target, tuple) or event.startswith("socket.get"):  # a path is a socket of this machine
            with open(os.environ["NOTED"], "a") as file:
                file.write(f"{event} {target!r}\\n")

sys.addaudithook(_note)
"""


# Runs a command without network interfaces. What it asks for all the same, be it in C, the kernel counts as packets
# without a route; the counters are gone when the last process has ended.
COUNT = '"$@"; code=$?; cat /proc/net/snmp > "$NOTED.kernel"; exit $code'
CUT = ("unshare", "-n", "sh", "-c", COUNT, "sh")


def can_cut_the_network() -> bool:
    """Whether this user may start processes without any network interface."""
    tool = shutil.which("unshare")
    return tool is not None and subprocess.run([tool, "-n", "true"], capture_output=True, check=False).returncode == 0


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder by its relative path; folders by themselves have none."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink() or not path.is_file():
            found[name] = "link" if path.is_symlink() else "folder"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def packets_without_route(snmp: str) -> int:
    """How many packets had nowhere to go, from /proc/net/snmp."""
    names, values = (line.split() for line in snmp.splitlines() if line.startswith("Ip:"))
    return int(values[names.index("OutNoRoutes")])


class World:
    """A folder with everything that a run may see and write, and the commands that run in it.

    Attributes:
        noted: file to which Python processes wrote what they wanted from the network.
        attempts: packets that the kernel could not send, where the network is cut.

    Args:
        root: an empty folder.
        checkout: what is copied to `root/checkout`.
        cut: run without network interfaces.
    """

    def __init__(self, root: Path, checkout: Path, cut: bool) -> None:
        self.root, self.cut = root, cut
        shutil.copytree(checkout, root / "checkout", ignore=shutil.ignore_patterns(*NOT_COPIED))
        for name in ("home", "temporary", "work", "data", "watcher"):
            (root / name).mkdir()
        (root / "watcher" / "sitecustomize.py").write_text(WATCHER)
        self.noted, self.attempts = root / "noted.txt", 0

    def run(self, *argv: object) -> str:
        """Run a script of the checkout from the folder `work`; return what it says.

        Raises:
            AssertionError: if it fails.
        """
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV") if name in os.environ}
        environment = kept | {
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "temporary"),
            "PYTHONPATH": str(self.root / "watcher"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "NOTED": str(self.noted),
        }
        script, *rest = argv
        command = [sys.executable, str(self.root / "checkout" / str(script)), *map(str, rest)]
        done = subprocess.run(
            [*CUT, *command] if self.cut else command,
            cwd=self.root / "work",
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        if self.cut:
            self.attempts += packets_without_route(self.noted.with_name("noted.txt.kernel").read_text())
        return done.stdout + done.stderr
