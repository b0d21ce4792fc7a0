"""Open what --source names: files, streams, or images in memory."""

from pathlib import Path
from typing import Any

from engine.detection.file_list import is_live, list_files
from engine.errors import UsageError


def open_source(source: Any, batch: int = 1, vid_stride: int = 1) -> Any:
    """Open a source of images: return the reader that fits it.

    Args:
        source: path, folder, glob, .txt list, webcam number, address, a list of these; or images in memory: see
            `engine.detection.readers.MemoryReader`.
        batch: images at once.
        vid_stride: every N-th frame of videos.

    Raises:
        UsageError: if there is no such source.
    """
    from engine.detection.readers import FileReader, MemoryReader, StreamReader

    if isinstance(source, str | int | Path):
        name = str(source)
        if name.lower().startswith("screen") and not Path(name).exists():
            raise UsageError(f"--source {name}: the screen is no source here; record it and give the video")
        if is_live(name):
            return StreamReader(name, vid_stride)
        return FileReader(list_files(name), batch, vid_stride)
    if isinstance(source, list | tuple) and source and all(isinstance(entry, str | Path) for entry in source):
        live = next((str(entry) for entry in source if is_live(str(entry))), None)
        if live is not None:
            raise UsageError(
                f"--source {live}: is a camera or stream, which stands alone; write several into a file "
                "cameras.streams, one a line, and give that"
            )
        return FileReader([file for entry in source for file in list_files(str(entry))], batch, vid_stride)
    return MemoryReader(source, batch)
