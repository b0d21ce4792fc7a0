"""What a mechanism cannot do, with the reason; the tests skip nothing else, and the documentation shows this table."""

# name → {property: reason}. Properties: channels (a divisor of C), opset (the lowest of ONNX, else 11), onnx, trace,
# compile, deterministic-cuda, fold (a normalisation that stays at inference).
LIMITS: dict[str, dict[str, str]] = {
    "AIFI": {"channels": "4: sine and cosine of the row and of the column get a quarter each"},
    "CoT": {"fold": "the normalisation follows the local mixing, whose weights come from the image"},
    "NAM": {"fold": "the normalisation is the gate itself"},
    "ParNetAttention": {"fold": "the normalisation of the skip branch follows no layer; the two convolutions merge"},
    "iRMB": {"fold": "the first normalisation stands before the padding of the windows"},
    "SEAM": {"fold": "the normalisations follow GELU, no layer"},
    "MultiSEAM": {"fold": "the normalisations follow GELU, no layer"},
    "SCSA": {"channels": "4: one quarter for each kernel size"},
    "SRM": {"fold": "the normalisation follows a product with the statistics, no layer"},
    "LSK": {"channels": "2: each of the two scales gets half of the channels"},
    "PyramidSqueeze": {"channels": "4: one part for each kernel size"},
    "ShuffleAttention": {"channels": "2: every group is split into a channel and a spatial half"},
    "BiLevelRouting": {
        "onnx": "height and width are fixed at export: the size of a region follows from them",
        "trace": "height and width are fixed at tracing: the size of a region follows from them",
    },
    "ACmix": {"deterministic-cuda": "mirrored padding has no deterministic backward on CUDA; on a CPU it has"},
    "DeformableLKA": {
        "deterministic-cuda": "grid_sample has no deterministic backward on CUDA; on a CPU it has",
        "opset": "16: the first that can sample a map between its positions",
    },
    "DeformableAttention": {
        "deterministic-cuda": "grid_sample has no deterministic backward on CUDA; on a CPU it has",
        "opset": "16: the first that can sample a map between its positions",
    },
}


def divisor_of_channels(name: str) -> int:
    """Return the number that C must be divisible by.

    Args:
        name: canonical name of a mechanism.

    Returns:
        1 where any C works.
    """
    return int(LIMITS.get(name, {}).get("channels", "1:").split(":")[0])


def lowest_opset(name: str) -> int:
    """Return the lowest operator set of ONNX that a mechanism can be written in.

    Args:
        name: canonical name of a mechanism.

    Returns:
        11 for most; this project writes no lower one.
    """
    return int(LIMITS.get(name, {}).get("opset", "11:").split(":")[0])
