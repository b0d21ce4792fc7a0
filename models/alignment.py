"""Align two sequences by the scores of their pairs."""

from collections.abc import Mapping


def heaviest_pairs(scores: Mapping[tuple[int, int], float], rows: int, columns: int) -> list[tuple[int, int]]:
    """Return the sequence of pairs (i, j) of the largest total score in which both positions increase.

    Args:
        scores: above 0, of the pairs that may be matched.
        rows: number of positions i.
        columns: number of positions j.
    """
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            skip = max(best[i + 1][j], best[i][j + 1])
            best[i][j] = max(skip, best[i + 1][j + 1] + scores[i, j]) if (i, j) in scores else skip
    pairs, i, j = [], 0, 0
    while i < rows and j < columns:
        if (i, j) in scores and best[i][j] == best[i + 1][j + 1] + scores[i, j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs
