"""Render the report's HTML templates, which lie in templates/ beside this file; whatever goes in is escaped."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).resolve().parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: Any) -> Markup:
    """Fill in a template.

    Args:
        template: name of a file in templates/.
        values: by the names that the template uses; text is escaped unless it is Markup.

    Returns:
        HTML, marked as safe.
    """
    return Markup(_ENVIRONMENT.get_template(template).render(**values))  # noqa: S704 - escaped by the environment
