"""Scaling and its way back, against ultralytics' own."""

import cv2
import numpy as np
import pytest
import torch
from ultralytics.data.augment import LetterBox
from ultralytics.utils.ops import scale_boxes

from engine.ops.letterbox import canvas_size, letterbox


@pytest.mark.parametrize("shape", [(432, 768), (768, 432), (333, 500), (64, 64), (1, 2000), (37, 41)])
@pytest.mark.parametrize("tight", [True, False])
def test_equal_to_ultralytics(shape, tight):
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    size = canvas_size([image], (320, 320), 32, tight)
    inputs, (letterboxed,) = letterbox([image], size)
    expected = LetterBox((320, 320), auto=tight, stride=32)(image=image)
    assert inputs.shape == (1, 3, *expected.shape[:2])
    np.testing.assert_allclose(inputs[0], expected[..., ::-1].transpose(2, 0, 1) / np.float32(255), atol=1e-6)
    boxes = np.array([[3.0, 5, 60, 40], [-10, -10, 700, 700]], np.float32)
    back = scale_boxes(expected.shape[:2], torch.from_numpy(boxes.copy()), shape)
    np.testing.assert_allclose(letterboxed.boxes_to_image(boxes), back.numpy(), rtol=1e-4, atol=1e-3)


def test_images_of_several_shapes_share_a_square():
    images = [np.zeros((40, 60, 3), np.uint8), np.zeros((60, 40, 3), np.uint8)]
    size = canvas_size(images, (64, 64), 32, tight=True)
    assert letterbox(images, size)[0].shape == (2, 3, 64, 64)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
@pytest.mark.parametrize("as_bytes", [True, False])
def test_each_of_other_channels_is_what_it_would_be_in_grey(channels, as_bytes):
    images = [np.random.default_rng(channels).integers(0, 255, (50, 70, channels), np.uint8)] * 2
    inputs, _ = letterbox(images, (64, 96), as_bytes)
    assert inputs.shape == (2, channels, 64, 96)
    assert inputs.dtype == (np.uint8 if as_bytes else np.float32)
    assert inputs.flags.c_contiguous
    for channel in range(channels):
        grey, _ = letterbox([np.repeat(images[0][..., channel : channel + 1], 3, 2)], (64, 96), as_bytes)
        np.testing.assert_allclose(inputs[1, channel], grey[0, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("shape", [(60, 100), (64, 64), (33, 20)])
def test_numbers_are_those_of_opencvs_blob(shape, as_bytes):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    batch, (place,) = letterbox([image], (64, 64), as_bytes)
    height, width = round(place.scale_y * shape[0]), round(place.scale_x * shape[1])
    inner = cv2.resize(image, (width, height)) if (height, width) != shape else image
    canvas = np.full((64, 64, 3), 114, np.uint8)
    canvas[place.top : place.top + height, place.left : place.left + width] = inner
    kind = {"ddepth": cv2.CV_8U} if as_bytes else {}
    expected = cv2.dnn.blobFromImage(canvas, 1 if as_bytes else 1 / 255, swapRB=True, **kind)
    assert batch.dtype == expected.dtype
    assert np.array_equal(batch, expected)
