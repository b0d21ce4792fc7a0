"""python -m models.lint: say what a hand-edited model YAML gets wrong."""

import json
from collections.abc import Sequence

from data.tool_parser import ToolParser
from models.catalog.mechanisms import load_plugin
from models.errors import guarded
from models.lint.check import Finding, lint, render
from models.tool_output import say


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 nothing found, 1 findings, 2 the input is no model YAML."""
    parser = ToolParser(prog="python -m models.lint", description="Check a hand-edited model YAML.")
    parser.add_argument("file", help="the edited model YAML")
    parser.add_argument("--base", required=True, help="the model YAML, or name, that it was made from")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a file of your own mechanisms")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    found: list[Finding] = []

    def run() -> None:
        for plugin in options.plugin:
            load_plugin(plugin)
        report = lint(options.file, options.base)
        found.extend(report.findings)
        if options.json:
            content = {"findings": [vars(f) for f in report.findings], "notes": report.notes, "overlay": report.overlay}
            say(json.dumps(content, indent=1))
        else:
            say(render(report, options.file, options.base))

    return guarded(run) or (1 if found else 0)


if __name__ == "__main__":
    raise SystemExit(main())
