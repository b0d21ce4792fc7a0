"""Tell images from videos by their first bytes, whatever their names."""

from pathlib import Path

HEAD = 1024  # bytes looked at
_STARTS = {
    b"FLV\x01": "FLV",
    b"\x1a\x45\xdf\xa3": "Matroska",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "ASF",
    b"\x00\x00\x01\xba": "MPEG",
    b"\x00\x00\x01\xb3": "MPEG",
    b"OggS": "Ogg",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01": "MXF",
    b".RMF": "RealMedia",
    b"nut/multimedia container": "NUT",
    b"DKIF": "IVF",
    b"YUV4MPEG2 ": "Y4M",
}
_IMAGE_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"crx ")
_PACKETS = ((188, 0), (192, 4), (204, 0))  # MPEG transport streams: length of a packet, and where its sync byte is


def video_format(path: Path) -> str | None:
    """Return the name of a video's container by the file's content; None for everything else.

    Nothing of the file is interpreted: FFmpeg would take text for a list of addresses to fetch.
    """
    try:
        if not path.is_file():  # opening a pipe would wait for its other end
            return None
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    name = next((name for start, name in _STARTS.items() if head.startswith(start)), None)
    if name is not None:
        return name
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "AVI"
    if head[4:8] == b"ftyp" and head[8:12] not in _IMAGE_BRANDS:
        return "MP4"
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return "QuickTime"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF" if _is_animated(path) else None
    return "MPEG-TS" if any(_is_transport_stream(head, *packet) for packet in _PACKETS) else None


def _is_transport_stream(head: bytes, length: int, offset: int) -> bool:
    at = range(offset, len(head), length)
    return len(at) >= 4 and all(head[position] == 0x47 for position in at)


def _is_animated(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001 - decoders raise anything on hostile files
        return False
