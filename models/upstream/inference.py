"""What engine/ uses of ultralytics to run models and to hand over detections."""

import re
from pathlib import Path
from typing import Any

from ultralytics.engine.results import Results
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.utils.torch_utils import select_device

from models.upstream.patches import apply

__all__ = ["AutoBackend", "FramedResults", "Results", "select_device"]

apply()

WRITABLE = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # suffixes of images that a result is saved as


class FramedResults(Results):  # type: ignore[misc]
    """Results with `frame`, which stays when they are sliced, copied, or moved to another device.

    Args:
        frame: where the image comes from.
        *args, **kwargs: of Results.
    """

    names: Any  # class number → name

    def __init__(self, frame: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.frame = frame

    def new(self) -> "FramedResults":
        """Return one of the same image without boxes."""
        made = FramedResults(self.frame, self.orig_img, self.path, self.names, speed=self.speed)
        made.save_dir = self.save_dir
        return made

    def save(self, filename: Any = None, *args: Any, **kwargs: Any) -> str:
        """Save the annotated image; see Results. A frame's own name has its number, what is no image file becomes .jpg.

        Args:
            filename: of the image; by default results_NAME in the working folder.
            *args: of `plot`.
            **kwargs: of `plot`.

        Returns:
            The name.
        """
        if not filename:
            path, number = Path(self.path), getattr(self.frame, "number", None)
            suffix = path.suffix if number is None and path.suffix.lower() in WRITABLE else ".jpg"
            filename = f"results_{path.stem}{'' if number is None else f'_{number}'}{suffix}"
        return super().save(filename, *args, **kwargs)  # type: ignore[no-any-return]

    def save_crop(self, save_dir: Any, file_name: Any = "im.jpg") -> None:
        """Save every box as an image; see Results. A class's name cannot lead out of the folder.

        Args:
            save_dir: in which each class has a folder.
            file_name: of the images, numbered.
        """
        names = self.names
        safe = {number: re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", str(name)).strip(" .") for number, name in names.items()}
        self.names = {number: name[:100] or f"class{number}" for number, name in safe.items()}
        try:
            super().save_crop(save_dir, file_name)
        finally:
            self.names = names
