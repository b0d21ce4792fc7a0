"""python -m models.adopt: bring a fork's model YAML and checkpoint here; nothing of the fork is executed."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import yaml

from data.tool_parser import ToolParser
from models.adopt.adopt import Adoption, adopt, content_of
from models.adopt.rows import unknown_rows
from models.catalog.mechanisms import load_plugin
from models.errors import SpecError, guarded
from models.tool_output import say
from models.weights.atomic_write import write_atomically
from models.weights.checkpoint import save_checkpoint

_SHOWN = 12  # tensors named of those that were not taken


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 a row or a tensor has no place here, 2 the input is wrong."""
    parser = ToolParser(prog="python -m models.adopt", description=__doc__)
    parser.add_argument("file", help="the fork's model YAML, or its checkpoint (.pt), which describes its model itself")
    parser.add_argument("--weights", metavar="FORK.pt", help="the fork's checkpoint")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a file with classes of the fork")
    parser.add_argument(
        "--out", metavar="NAME", help="write NAME.yaml and NAME.pt (default: the file's name with -adopted)"
    )
    options = parser.parse_args(argv)
    code = [0]

    def run() -> None:
        code[0] = _run(options)

    return guarded(run) or code[0]


def _run(options: argparse.Namespace) -> int:
    for plugin in options.plugin:
        load_plugin(plugin)
    out = Path(options.out or f"{Path(options.file).stem}-adopted")
    targets = [out.with_name(f"{out.name}{suffix}") for suffix in (".yaml", ".pt")]
    for target in targets:
        if target.exists():
            raise SpecError(f"--out {out}: {target} exists already; choose another name")
    found = adopt(options.file, options.weights)
    near = found.base.name if found.base else "none"
    say(f"{options.file}: {len(found.rows)} rows; nearest stock model: {near}")
    for status in found.rows:
        say(str(status))
    if found.description is None:
        missing = ", ".join(sorted({status.row.module for status in unknown_rows(found.rows)}))
        say(f"not adopted: {missing} cannot be built; paste the class into a file and give it as --plugin FILE")
        return 1
    _write(found, targets, options)
    return 1 if found.left else 0


def _write(found: Adoption, targets: Sequence[Path], options: argparse.Namespace) -> None:
    """Write what was adopted, and say it."""
    kind = f"an overlay of {found.base.name}" if found.is_overlay and found.base else "a whole description"
    text = f"# {kind}, by python -m models.adopt from {Path(options.file).name}\n"
    text += yaml.safe_dump(found.description, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    try:
        write_atomically(targets[0], lambda stream: stream.write(text.encode()))
    except OSError as error:
        raise SpecError(f"{targets[0]}: cannot be written ({error.strerror or error})") from None
    for line in found.equal:
        say(line)
    say(f"wrote {targets[0]}: {kind}")
    if found.weights:
        save_checkpoint(targets[1], content_of(found, Path(options.weights or options.file).name))
        say(f"wrote {targets[1]}: the checkpoint's tensors in this project's format")
    for line in found.left[:_SHOWN]:
        say(f"  not taken: {line}")
    if found.left:
        more = f", {len(found.left) - _SHOWN} of them not shown" if len(found.left) > _SHOWN else ""
        say(f"{len(found.left)} tensors have no counterpart{more}; no checkpoint was written")
    elif not found.weights:
        say("not compared with the fork's own code: give its checkpoint as --weights")
    weights = f" --weights {targets[1]}" if found.weights else ""
    say(f"next: python train.py --cfg {targets[0]}{weights} --data DATA.yaml")


if __name__ == "__main__":
    raise SystemExit(main())
