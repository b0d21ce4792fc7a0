"""LVIS's repeat factors against values worked by hand, and drawn counts against their expectation."""

from pathlib import Path

import numpy as np
import pytest

from data.balance.repeat_factors import class_factors, class_frequencies, draw_counts, epoch_size, image_factors
from data.records import Record


def record(classes, crowd=()):
    n = len(classes)
    crowd = np.array([number in crowd for number in range(n)], bool)
    boxes = np.tile([0.0, 0, 5, 5], (n, 1))
    return Record(Path("x.jpg"), 9, 9, np.array(classes, np.int64), boxes, np.zeros(n, bool), crowd, np.full(n, 25.0))


RECORDS = [record([0, 0, 1]), record([0]), record([0, 2], crowd=[1]), record([])]


def test_frequencies_count_images_not_boxes():
    assert class_frequencies(RECORDS, 3).tolist() == [0.75, 0.25, 0.0]  # the crowd of class 2 is not trained on
    assert class_frequencies(RECORDS, 1, single_class=True).tolist() == [0.75]


def test_an_image_is_repeated_as_its_rarest_class_asks():
    # √(1 / 0.75) = 1.1547; √(1 / 0.25) = 2
    assert class_factors(np.array([0.75, 0.25, 0.0]), 1.0).tolist() == pytest.approx([1.154700538, 2, 1])
    assert image_factors(RECORDS, 3, 1.0).tolist() == pytest.approx([2, 1.154700538, 1.154700538, 1])
    assert image_factors(RECORDS, 3, 0.25).tolist() == [1, 1, 1, 1]  # no class is rarer than that


def test_counts_agree_with_their_expectation_and_every_epoch_has_one_size():
    factors = np.random.default_rng(3).uniform(1, 4, 40)
    size, epochs = epoch_size(factors), 4000
    drawn = np.array([draw_counts(factors, np.random.default_rng((7, epoch))) for epoch in range(epochs)])
    assert size == np.ceil(factors.sum())
    assert set(drawn.sum(1)) == {size}
    expected = factors * size / factors.sum()
    assert (drawn >= np.floor(expected)).all()
    assert (drawn <= np.ceil(expected)).all()
    rest = expected % 1
    error = np.sqrt(rest * (1 - rest) / epochs)  # of a mean of Bernoulli draws
    assert (np.abs(drawn.mean(0) - expected) < 4.5 * error + 1e-9).all()


@pytest.mark.parametrize("factors", [[1.0, 1.0, 1.0], [2.0, 1.0], [1.0]])
def test_whole_factors_leave_nothing_to_chance(factors):
    counts = {tuple(draw_counts(np.array(factors), np.random.default_rng(seed))) for seed in range(50)}
    assert counts == {tuple(int(value) for value in factors)}
