"""Open what --source names: files, streams, or images in memory."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from data.folders import expand_home
from engine.detection.file_list import WEB, is_live, list_files, subfolders
from engine.detection.readers import FileReader, StreamReader
from engine.errors import UsageError

PAGES = ("youtube.com", "youtu.be", "youtube-nocookie.com", "bilibili.com", "vimeo.com", "twitch.tv")


def open_source(
    source: Any, batch: int = 1, vid_stride: int = 1, stretch: bool = False, channels: int | None = 3
) -> Any:
    """Open a source of images: return the reader that fits it.

    Args:
        source: path, folder, glob, .txt list, webcam number, address, a list of these; or images in memory: see
            `engine.detection.memory_reader.MemoryReader`.
        batch: images at once.
        vid_stride: every N-th frame of videos.
        stretch: spread the values of images of more than 8 bits.
        channels: of the images; None where the reader is told later, by its `expect`.

    Raises:
        UsageError: if there is no such source, or it cannot have so many channels.
    """
    reader = _reader(source, batch, vid_stride, stretch)
    if channels is not None:
        reader.expect(channels)
    return reader


def _reader(source: Any, batch: int, vid_stride: int, stretch: bool) -> Any:
    if isinstance(source, str | int | Path):
        name = str(source)
        _refuse_pages(name)
        if name.lower().startswith("screen") and not Path(name).exists():
            raise UsageError(f"--source {name}: the screen is no source here; record it and give the video")
        if is_live(name):
            return StreamReader(name, vid_stride)
        return _files([name], batch, vid_stride, stretch)
    if isinstance(source, list | tuple) and source and all(isinstance(entry, str | Path) for entry in source):
        live = next((str(entry) for entry in source if is_live(str(entry))), None)
        if live is not None:
            raise UsageError(
                f"--source {live}: is a camera or stream, which stands alone; write several into a file "
                "cameras.streams, one a line, and give that"
            )
        return _files([str(entry) for entry in source], batch, vid_stride, stretch)
    from engine.detection.memory_reader import MemoryReader  # here, so that files do not wait for it

    return MemoryReader(source, batch, stretch)


def _refuse_pages(name: str) -> None:
    """Refuse the address of a page that shows a video: it is no stream, and nothing is installed to find the one in it.

    Raises:
        UsageError: saying what to give instead.
    """
    host = (urlsplit(name).hostname or "").lower() if name.lower().startswith(WEB) else ""
    if any(host == page or host.endswith(f".{page}") for page in PAGES):
        raise UsageError(
            f"--source {name}: is a page, not a stream; download the video (yt-dlp does) and give the file, "
            "or give the stream's own address"
        )


def _files(sources: list[str], batch: int, vid_stride: int, stretch: bool) -> FileReader:
    """Return a reader of files, each of them once, with a note for every folder in them that is not searched."""
    files = dict.fromkeys(file for source in sources for file in list_files(source))
    reader = FileReader(list(files), batch, vid_stride, stretch)
    known = {expand_home(source).resolve() for source in sources}
    for folder in dict.fromkeys(folder for source in sources for folder in subfolders(source)):
        if Path(folder).resolve() not in known:
            reader.report.notes.append((folder, "is a folder in a folder, and not searched; name it as a --source too"))
    return reader
