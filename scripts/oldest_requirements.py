"""Print constraints that make pip install the oldest release that requirements.txt admits of every package.

python scripts/oldest_requirements.py > oldest.txt; python -m pip install -r requirements-dev.txt -c oldest.txt
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def constraints(text: str) -> list[str]:
    """Turn lower bounds into constraints.

    Args:
        text: of a requirements file.

    Returns:
        "name==bound.*" for every "name>=bound…": patch releases of the oldest admitted one may come.
    """
    found = []
    for line in text.splitlines():
        bound = re.match(r"([\w.-]+)>=([\d.]+)", line)
        marker = re.search(r";[^#]*", line)
        if bound:
            found.append(f"{bound[1]}=={bound[2]}.*{marker[0].rstrip() if marker else ''}")
    return found


def main() -> int:
    """Print the constraints."""
    print("\n".join(constraints((ROOT / "requirements.txt").read_text(encoding="utf-8"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
