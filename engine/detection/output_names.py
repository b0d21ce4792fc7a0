"""Choose names of outputs: that of the input, kept where the file system allows, and different for every input."""

import os
import re
import sys
from pathlib import Path

from engine.detection.file_list import without_query
from engine.detection.frames import Frame

WRITABLE = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
LONGEST = 220  # bytes of a stem; file systems take 255 with numbers and suffixes
_NEVER = re.compile(r'[<>:"/\\|?*\x00-\x1f]' if os.name == "nt" else r"[/\x00]")
_ONE_CASE = sys.platform in ("win32", "darwin")  # A.jpg and a.jpg are one file there
_CROP = re.compile(r"(.+)-box\d+", re.DOTALL)
_FRAME = re.compile(r"(.+)_\d+", re.DOTALL)


def file_name(text: str, otherwise: str) -> str:
    """Return text as the name of one file, changed only where the file system asks for it."""
    name = _NEVER.sub("_", text)
    if os.name == "nt":
        name = name.rstrip(" .")
    path = Path(name)
    if len(os.fsencode(path.stem)) > LONGEST:
        name = os.fsencode(path.stem)[:LONGEST].decode(errors="ignore") + path.suffix[:20]
    return otherwise if name.strip(". ") == "" else name


class OutputNames:
    """Name the outputs of every input, so that no two inputs share one.

    An input has one stem for its image or video, labels, and crops. Frames of a video are STEM_NUMBER, the second crop
    of an image STEM-box2: stems that would be read as such of another input get a number.
    """

    def __init__(self) -> None:
        self._of: dict[str, str] = {}  # input → name
        self._taken: set[str] = set()
        self._videos: set[str] = set()
        self._like_frames: set[str] = set()  # X of every stem X_NUMBER
        self._like_crops: set[str] = set()  # X of every stem X-boxNUMBER

    def of(self, frame: Frame) -> str:
        """Return the name of an input's image or video, always the same for the same input."""
        if frame.path not in self._of:
            own = Path(file_name(Path(without_query(frame.path)).name, "image"))
            video = frame.kind != "image"
            suffix = ".mp4" if video else own.suffix if own.suffix.lower() in WRITABLE else ".jpg"
            stem = own.stem if own.suffix else own.name
            unique, number = stem, 1
            while self._clashes(self._key(unique), video):
                number += 1
                unique = f"{stem}-{number}"
            self._take(self._key(unique), video)
            self._of[frame.path] = unique + suffix
        return self._of[frame.path]

    def renamed(self) -> dict[str, str]:
        """Return output name → input, if there is an input whose outputs do not bear its own name; else nothing."""
        changed = any(Path(name).stem != Path(without_query(path)).stem for path, name in self._of.items())
        return {name: path for path, name in self._of.items()} if changed else {}

    @staticmethod
    def _key(stem: str) -> str:
        return stem.casefold() if _ONE_CASE else stem

    def _clashes(self, stem: str, video: bool) -> bool:
        if stem in self._taken or stem in self._like_crops or (video and stem in self._like_frames):
            return True
        crop = _CROP.fullmatch(stem)
        frame = _FRAME.fullmatch(crop[1] if crop else stem)
        return bool((crop and crop[1] in self._taken) or (frame and frame[1] in self._videos))

    def _take(self, stem: str, video: bool) -> None:
        self._taken.add(stem)
        if video:
            self._videos.add(stem)
        crop = _CROP.fullmatch(stem)
        if crop:
            self._like_crops.add(crop[1])
        frame = _FRAME.fullmatch(crop[1] if crop else stem)
        if frame:
            self._like_frames.add(frame[1])


def crop_stem(stem: str, number: int) -> str:
    """Return the name of an image's crop, numbered from 1, without suffix."""
    return stem if number == 1 else f"{stem}-box{number}"
