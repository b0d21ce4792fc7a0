"""Find which images of the measuring split are tiles or frames of one original, where the data YAML says how."""

from collections.abc import Sequence

from data import Record, read_config
from data.originals import original_of
from engine.errors import UsageError
from study.plan.study_spec import StudySpec

FEW = 10  # originals below which a bootstrap over them says little


def originals_of(spec: StudySpec, records: Sequence[Record]) -> tuple[str, ...]:
    """Return each image's original, none where the data YAML does not say.

    Args:
        spec: of the study.
        records: of the measuring split.

    Raises:
        UsageError: if the pattern fits no image.
    """
    config = read_config(spec.data, spec.data_root)
    if config.originals is None:
        return ()
    found = tuple(original_of(record.path, config.originals) for record in records)
    if not any(name != str(record.path) for name, record in zip(found, records, strict=True)):
        example = f", such as {records[0].path.name}" if records else ""
        raise UsageError(f"{config.file}: key 'originals': {config.originals} fits no image{example}")
    return found


def warning_of(originals: Sequence[str]) -> list[str]:
    """Say of how many originals the measuring images come; nothing where every image is one of its own.

    Args:
        originals: of each image.
    """
    if not originals:
        return []
    count = len(set(originals))
    doubt = " So few originals say little about others." if count < FEW else ""
    return [
        f"The {len(originals)} images that measure come from {count} originals; the bootstrap over images resamples "
        f"originals.{doubt}"
    ]
