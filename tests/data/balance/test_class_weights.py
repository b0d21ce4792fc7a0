"""Weights of classes against values worked by hand and ultralytics' own."""

from types import SimpleNamespace

import numpy as np
import pytest
from ultralytics.models.yolo.detect import DetectionTrainer

from data.balance.class_weights import class_weights


def test_the_inverse_of_the_counts_with_mean_one():
    # 1/8 and 1/2, mean 5/16: 0.4 and 1.6
    assert class_weights(np.array([8, 2]), 1.0).tolist() == pytest.approx([0.4, 1.6])
    assert class_weights(np.array([8, 2]), 0.0).tolist() == [1, 1]
    assert class_weights(np.array([0, 0]), 1.0).tolist() == [1, 1]


@pytest.mark.parametrize("power", [0.25, 1.0])
def test_as_ultralytics_weighs(power):
    counts = np.array([500, 20, 0, 3], np.float32)
    trainer = SimpleNamespace(args=SimpleNamespace(cls_pw=power))
    theirs = DetectionTrainer.compute_class_weights(trainer, counts)
    np.testing.assert_allclose(class_weights(counts.astype(int), power), theirs / theirs.mean(), rtol=1e-6)
