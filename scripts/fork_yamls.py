"""Count how many model YAMLs of other repositories are accepted, by repository and by cause of refusal.

python scripts/fork_yamls.py FOLDER [--workers 2] [--json OUT]

Each folder directly below FOLDER is a repository. A file is accepted if it is built as it is written, and the model
runs in training and in evaluation. Every file is tried in a process that can be ended, so none can stop the count.
"""

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SIZE = 128  # pixels; a multiple of every stride in use
SECONDS = 300  # for one file; it takes a few, but a machine that does other work may stall
ACCEPTED, REFUSED, CRASHED, HUNG = "accepted", "refused", "traceback", "hang"
# What a refusal is about, by words of its message; the first that fits.
CAUSES = (
    ("unknown module", r"unknown module|unknown block|unknown head|is not known"),
    ("arguments", r"argument|option|takes|expected"),
    ("channels or maps do not fit", r"channels|cannot be added|cannot be concatenated|size|stride"),
    ("other task than detection", r"segment|pose|classif|obb|task|no detect"),
    ("no valid YAML", r"YAML|not a mapping|empty|cannot be read"),
)


def try_file(path: str) -> tuple[str, str]:
    """Build one file and run it in both modes.

    Returns:
        The outcome and the message, one line.
    """
    import torch

    from models import SpecError, build_model

    try:
        model = build_model(path)
        x = torch.zeros(2, model.spec.ch, SIZE, SIZE)
        with torch.no_grad():
            model.eval()(x)
            model.train()(x)
    except SpecError as error:
        return REFUSED, str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault of ours
        return CRASHED, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return ACCEPTED, ""


def serve(pipe: Connection) -> None:
    """Answer paths with outcomes until the pipe closes."""
    import torch

    torch.set_num_threads(1)
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        pipe.send(try_file(path))


class Worker:
    """A process that tries files; it is replaced when one takes too long."""

    def __init__(self) -> None:
        self.process: Any = None
        self.pipe: Any = None

    def __call__(self, path: Path) -> tuple[str, str]:
        """Try one file."""
        if self.process is None or not self.process.is_alive():
            context = get_context("spawn")
            self.pipe, end = context.Pipe()
            self.process = context.Process(target=serve, args=(end,), daemon=True)
            self.process.start()
            end.close()
        self.pipe.send(str(path))
        try:
            if self.pipe.poll(SECONDS):
                outcome, message = self.pipe.recv()
                return outcome, message.replace(str(path), path.name)
        except EOFError:
            self.process = None
            return CRASHED, "the process ended"
        self.process.kill()
        self.process.join()
        self.process = None
        return HUNG, f"more than {SECONDS} s"


def cause(message: str) -> str:
    """Return what a refusal is about."""
    named = re.search(r"unknown (?:module|block|head) '([^']+)'", message)
    if named:
        return f"unknown module {named.group(1)}"
    return next((name for name, words in CAUSES if re.search(words, message, re.IGNORECASE)), message[:80])


def collect(folder: Path, workers: int) -> list[dict[str, str]]:
    """Try every YAML below a folder, in a fixed order."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".yaml", ".yml"})
    pool = [Worker() for _ in range(workers)]
    free = list(pool)

    def work(path: Path) -> dict[str, str]:
        worker = free.pop()
        try:
            outcome, message = worker(path)
        finally:
            free.append(worker)
        place = path.relative_to(folder)
        return {"repository": place.parts[0], "file": place.as_posix(), "outcome": outcome, "message": message}

    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(work, files))


def render(rows: list[dict[str, str]]) -> str:
    """Write the tables as Markdown: by repository, by cause, and whatever is a fault of ours."""
    by_repository: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        by_repository[row["repository"]][row["outcome"]] += 1
    shares = {name: count[ACCEPTED] / sum(count.values()) for name, count in by_repository.items()}
    lines = ["| repository | files | accepted | refused | traceback or hang |", "|---|---|---|---|---|"]
    for name, count in sorted(by_repository.items()):
        faults = count[CRASHED] + count[HUNG]
        lines.append(f"| {name} | {sum(count.values())} | {count[ACCEPTED]} | {count[REFUSED]} | {faults} |")
    accepted = sum(count[ACCEPTED] for count in by_repository.values())
    lines += [
        "",
        f"Accepted: {accepted} of {len(rows)} files ({100 * accepted / max(1, len(rows)):.1f} %), "
        f"{100 * sum(shares.values()) / max(1, len(shares)):.1f} % as a mean over {len(shares)} repositories.",
        "",
        "| cause of refusal | files | repositories |",
        "|---|---|---|",
    ]
    causes = defaultdict(set)
    counts: Counter[str] = Counter()
    for row in rows:
        if row["outcome"] == REFUSED:
            why = cause(row["message"])
            counts[why] += 1
            causes[why].add(row["repository"])
    lines += [f"| {why} | {count} | {len(causes[why])} |" for why, count in counts.most_common()]
    ours = [row for row in rows if row["outcome"] in (CRASHED, HUNG)]
    lines += ["", *(f"- {row['file']}: {row['outcome']}: {row['message']}" for row in ours)]
    return "\n".join(lines)


def main() -> int:
    """Count; exit code 1 if a file ended in a traceback or a hang."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of repositories' folders with YAMLs")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="OUT", help="write every file's outcome")
    options = parser.parse_args()
    rows = collect(options.folder, options.workers)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(render(rows))
    return 1 if any(row["outcome"] in (CRASHED, HUNG) for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
