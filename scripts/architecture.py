"""Read the packages' imports from their syntax trees: modules, arrows, circles, and arrows that run back.

python scripts/architecture.py [CHECKOUT] prints them by room: a folder, or a file that stands beside folders.
Without CHECKOUT, this one; arrows of another one are held against its rooms only where it has those of `LAYERS`.
"""

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("attention", "data", "metrics", "models", "engine", "study", "playground")

# From the ground up: a room may import the rooms of the lines before its own, and no other. A package's commands
# (`__main__`) stand above its rooms, and so does its face (`__init__`, which hands names on) unless it is listed.
LAYERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "": (("attention", "data", "metrics"), ("models",), ("engine",), ("study",), ("playground",)),
    "attention": (
        ("older_torch", "timm_names", "option_types"),
        ("registry", "flops", "attended"),
        ("layers",),
        ("mechanisms", "identity_start"),
        ("attach", "fuse"),
        ("__init__",),
        ("docs",),
    ),
    "data": (
        ("errors", "tool_parser", "records", "folders", "files", "http_file", "originals"),
        ("image_files", "text_files", "text_drawing", "balance"),
        ("yaml_reader",),
        ("cache",),
        ("config",),
        ("download",),
        ("formats",),
        ("digits",),
        ("loading",),
        ("convert",),
        ("merge",),
        ("doctor",),
    ),
    "metrics": (
        ("inputs",),
        ("iou", "average_precision"),
        ("matching",),
        ("curves", "coco", "confusion_plot", "voc", "bootstrap", "tide"),
        ("report",),
    ),
    "models": (
        ("errors", "alignment", "upstream"),
        ("tool_output",),
        ("heads", "losses"),
        ("catalog",),
        ("blocks",),
        ("spec",),
        ("network", "lint", "weights"),
        ("reparameterization", "autoanchor", "forks"),
        ("source",),
        ("weight_loading",),
        ("build", "load"),
        ("adopt", "costs"),
    ),
    "engine": (
        ("errors",),
        ("ops",),
        ("runtime",),
        ("cli", "datasets", "trusted_files"),
        ("model_loading",),
        ("backends",),
        ("detection",),
        ("validation",),
        ("training",),
        ("export", "inspection"),
    ),
    "playground": (
        ("guard", "texts", "mechanisms", "costs"),
        ("errors",),
        ("access", "faults", "trainings", "look"),
        ("design", "run_files"),
        ("fork", "train_form", "session"),
        ("pages",),
        ("server",),
        ("cli",),
    ),
    "study": (("plan",), ("execute", "analysis"), ("report",), ("scan", "several_sets", "dry_run"), ("cli",)),
}


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Return all modules of the packages of a checkout, by dotted name."""
    return {dotted(path, root): path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))}


def dotted(path: Path, root: Path = ROOT) -> str:
    """Return the name under which a file of a checkout is imported."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def arrows(files: Mapping[str, Path]) -> set[tuple[str, str]]:
    """Return who imports whom, wherever in a file; what only a type checker reads is left out.

    Args:
        files: modules by dotted name.
    """
    homes = {name: _homes(path) for name, path in files.items() if path.name == "__init__.py"}
    found = set()
    for name, path in files.items():
        for target in imported(ast.parse(path.read_text(encoding="utf-8"))):
            package, _, attribute = target.rpartition(".")
            home = homes.get(package, {}).get(attribute, target)
            end = next((module for module in (home, home.rpartition(".")[0]) if module in files), None)
            if end is not None and end != name:
                found.add((name, end))
    return found


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield what a syntax tree imports: "package.module" or "package.module.name"."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imported(node)


def _homes(init: Path) -> dict[str, str]:
    """Return name → module of a package whose `__getattr__` loads names when they are asked for."""
    homes = {}
    for node in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for name, module in ast.literal_eval(node.value).items():
                homes[name] = module if module.endswith(f".{name}") else f"{module}.{name}"
    return homes


def circles(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return the groups of modules that import each other in a loop (strongly connected components)."""
    after: dict[str, set[str]] = defaultdict(set)
    for start, end in pairs:
        after[start].add(end)
    reach = {name: _reachable(name, after) for name in list(after)}
    groups = {
        frozenset(other for other in reach[name] if name in reach.get(other, ()))
        for name in reach
        if name in reach[name]
    }
    return sorted(sorted(group) for group in groups)


def _reachable(name: str, after: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(after.get(name, ()))
    while waiting:
        other = waiting.pop()
        if other not in seen:
            seen.add(other)
            waiting += after.get(other, ())
    return seen


def backward(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return the arrows that the layers forbid, one sentence each."""
    found = []
    for start, end in sorted(pairs):
        for package in ("", start.split(".")[0]):
            depth = 0 if not package else 1
            if package and start.split(".")[0] != end.split(".")[0]:
                continue
            one, other = (_floor(package, module.split(".")[depth:]) for module in (start, end))
            if one is None or other is None:
                found.append(f"{start} -> {end}: one of them stands in no room that LAYERS names")
            elif start.split(".")[depth : depth + 1] != end.split(".")[depth : depth + 1] and other >= one:
                found.append(f"{start} -> {end} runs back")
    return found


def _floor(package: str, rest: list[str]) -> int | None:
    """Return the number of the layer on which a module's room stands; commands and faces stand above all."""
    layers = LAYERS[package]
    name = rest[0] if rest else "__init__"
    listed = next((number for number, rooms in enumerate(layers) if name in rooms), None)
    return len(layers) if package and (rest[-1:] == ["__main__"] or (name == "__init__" and listed is None)) else listed


def room(name: str, path: Path) -> str:
    """Return the folder that holds a module, or the module itself where it stands beside folders."""
    parts = name.split(".")
    inside = parts if path.name == "__init__.py" else parts[:-1]
    return "/".join(inside if len(inside) > 1 else parts)


def main() -> int:
    """Print modules and arrows by room, circles and arrows back; exit code 1 if there is one of the last two."""
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    files = modules(root)
    pairs = arrows(files)
    rooms = Counter(room(name, path) for name, path in files.items())
    between = {(room(a, files[a]), room(b, files[b])) for a, b in pairs}
    for package in PACKAGES:
        of = {name for name in rooms if name.split("/")[0] == package}
        inner = [(a, b) for a, b in between if a in of and b in of and a != b]
        size = sum(rooms[name] for name in of)
        print(f"{package}: {size} modules in {len(of)} rooms, {len(inner)} arrows between rooms")
        for name in sorted(of):
            if rooms[name] > 1:
                print(f"  {name}: {rooms[name]} modules, imports {sum(a == name != b for a, b in between)} rooms")
    loops, wrong = circles(pairs), backward(pairs)
    print(f"{len(files)} modules, {len(pairs)} arrows, {len(loops)} circles, {len(wrong)} arrows back")
    for line in [*(" <-> ".join(loop) for loop in loops), *wrong]:
        print(f"  {line}")
    return 1 if loops or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
