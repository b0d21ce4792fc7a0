"""Find the images that a COCO JSON names: tools write them relative to one folder or another, or to their machine."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from data.errors import DataError
from data.formats.foreign_paths import endings, other_accents

_SAMPLE = 20  # images by which the folder is judged


def image_folder(file: Path, names: Sequence[str], split: str, root: Path) -> Path:
    """Return where the images of a JSON file lie, judged by the first few of them.

    Args:
        file: the JSON.
        names: of its images, as written.
        split: name of the split, which may be the folder's.
        root: the data set's folder.

    Raises:
        DataError: if none of them is found.
    """
    sample = names[:_SAMPLE]
    years = [file.stem.removeprefix("instances_"), split]
    bases = [root, root / "images", file.parent, file.parent / "images", file.parent.parent]
    candidates = [base / part for base in bases for part in ("", *years)]
    candidates += [file.parent.parent / "images" / part for part in ("", *years)]
    best = max(candidates, key=lambda folder: sum(image_path(folder, name).is_file() for name in sample))
    if any(image_path(best, name).is_file() for name in sample):
        return best
    raise DataError(
        f"{file}: its images (first: {sample[0]}) are not in {root}; "
        f"write {split}: {{images: FOLDER, annotations: {file.name}}}"
    )


def image_path(folder: Path, name: str) -> Path:
    """Return the path of an image; where there is none as written, `\\` is tried as `/`, as tools on Windows write it.

    A name that begins with the folder's own name is tried beside the folder, too. Of a name with a drive, from the root
    or from `..`, which holds where it was written, the longest ending that exists in the folder is taken.
    """
    path, plain = folder / name, PurePosixPath(name.replace("\\", "/"))
    if not name.isascii() and not path.is_file():
        path = next((other for text in other_accents(name) if (other := folder / text).is_file()), path)
    repeated, elsewhere = plain.parts[:1] == (folder.name,), [folder / ending for ending in endings(name)]
    if not ("\\" in name or repeated or elsewhere) or path.is_file():
        return path
    beside = folder.parent / plain
    if repeated and beside.is_file():
        return beside
    if not elsewhere:
        return folder / plain
    return next((ending for ending in elsewhere if ending.is_file()), elsewhere[-1])
