"""The model card of a folder for the Hugging Face hub."""

from collections.abc import Mapping
from typing import Any

CARD = """---
library_name: yolo-attention
pipeline_tag: object-detection
license: agpl-3.0
tags: [object-detection, yolo, attention]
---

# {title}

A detector of {classes} classes ({names}), made with yolo-attention.

| | |
|---|---|
{facts}

## Use

`model.safetensors` holds tensors and the model's description as text, nothing that could be executed.
With a checkout of yolo-attention:

```python
from engine import load

predictor = load("{title}")           # this folder
for result in predictor("image.jpg"):
    print(result.boxes.xyxy, result.boxes.conf, result.boxes.cls)
```

## Evaluation

{evaluation}
## Limits

A detector finds what resembles its training images. Say here what these were, under what licence, and
for what the model is not meant.
"""
FIGURES = {"metrics/mAP50-95(B)": "AP (mAP50-95)", "metrics/mAP50(B)": "AP50", "metrics/precision(B)": "precision"}
FIGURES |= {"metrics/recall(B)": "recall"}
MOST_NAMES = 20


def model_card(title: str, config: Mapping[str, Any], report: str | None) -> str:
    """Write the text of a model card.

    Args:
        title: name of the folder.
        config: what `config.json` holds.
        report: `report.md` of a study, whose verdicts are told; None for none.
    """
    names = list(config["id2label"].values())
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    provenance = config["provenance"]
    facts = {
        "model": config["name"],
        "attention": ", ".join(config["attention"]) or "none",
        "parameters": f"{config['parameters']:,}",
        "image size": f"{config['image_size']} px" if config["image_size"] else "not recorded",
        "data": provenance.get("data", "not recorded"),
        "epochs": provenance.get("epoch", "not recorded"),
    }
    return CARD.format(
        title=title,
        classes=len(names),
        names=", ".join(map(_cell, names[:MOST_NAMES])) + more,
        facts="\n".join(f"| {key} | {_cell(value)} |" for key, value in facts.items()),
        evaluation=_figures(provenance.get("metrics")) + (verdicts(report) if report else ""),
    )


def verdicts(report: str) -> str:
    """Return what a study's report says first: its design, a line for each variant, and the table of verdicts.

    Args:
        report: text of `report.md`.
    """
    head, _, rest = report.partition("\n## Verdict\n")
    opening = head.partition("\n")[2].strip()
    table = rest.partition("\n## ")[0].strip()
    return f"### The study that it comes from\n\n{opening}\n\n{table}\n\n"


def _figures(metrics: Any) -> str:
    told = metrics if isinstance(metrics, Mapping) else {}  # as anybody may have written it
    known = {FIGURES[key]: value for key, value in told.items() if key in FIGURES and isinstance(value, int | float)}
    if not known:
        return "No figures are recorded in the checkpoint.\n\n"
    lines = "\n".join(f"| {name} | {float(value):.4f} |" for name, value in known.items())
    return f"On the validation split, which also chose the epoch:\n\n| | |\n|---|---|\n{lines}\n\n"


def _cell(value: Any) -> str:
    """Return a value as text that cannot break out of a line or of a table's cell."""
    return " ".join(str(value).split()).replace("|", "\\|")
