"""What the page Look says of a path."""

from typing import Any


def fault_of_path(page: Any, label: str, path: str) -> str:
    """Return the line that appears once a path is entered.

    Args:
        page: that shows Look, and no line yet.
        label: of the field, in the page's language.
        path: what is typed before Enter.
    """
    field = page.get_by_label(label)
    field.fill(path)
    field.press("Enter")
    page.wait_for_selector("#fault:visible")
    return str(page.inner_text("#fault"))
