"""Let Pillow open files itself: ultralytics' opener answers one that Pillow does not know by asking for a package."""

from PIL import Image
from ultralytics.utils import patches


def restore_opener() -> None:
    """Undo what importing ultralytics does to Pillow; calling it again changes nothing."""
    Image.open = patches._image_open
