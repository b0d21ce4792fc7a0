"""First convolutions for images of other channels: what was learnt answers as before to an image alike in all."""

import pytest
import torch

from models import build_model
from models.weights.checkpoint import save_checkpoint
from models.weights.transfer.converted import fits_channels, for_channels


def saved(detector, path):
    content = {"spec": detector.spec.yaml, "names": detector.names, "stride": [8.0, 16.0, 32.0]}
    content |= {"weights": detector.state_dict(), "hyp": {}, "provenance": {}}
    save_checkpoint(path, content)
    return path


@pytest.mark.parametrize(("old", "new"), [(3, 1), (3, 4), (4, 3), (1, 5)])
@pytest.mark.parametrize("cfg", ["yolov5n", "yolov7-tiny"])
def test_an_image_alike_in_all_channels_is_seen_as_before(tmp_path, cfg, old, new):
    source = build_model(cfg, nc=2, ch=old, seed=3).eval()
    path = saved(source, tmp_path / "w.pt")
    target = build_model(cfg, nc=2, ch=new, seed=4, weights=path).eval()
    grey = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = (model(grey.expand(-1, ch, -1, -1))[0] for model, ch in ((source, old), (target, new)))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    report = target.transfer_report
    assert report.complete
    assert not report.mismatched
    assert sum(f"{old} → {new} channels" in line for line in report.summary().splitlines()) == 1


def test_stacked_pixels_keep_their_order():
    weight = torch.arange(12.0).view(1, 12, 1, 1)  # four neighbours of three channels: means 1, 4, 7, 10
    assert for_channels(weight, 3, 1).flatten().tolist() == [3, 12, 21, 30]
    assert for_channels(weight, 3, 2).flatten().tolist() == [1.5, 1.5, 6, 6, 10.5, 10.5, 15, 15]
    assert fits_channels((8, 12, 3, 3), (8, 16, 3, 3), 3, 4)
    for new in ((8, 12, 3, 3), (8, 15, 3, 3), (4, 16, 3, 3), (8, 16, 1, 1), (8, 16)):
        assert not fits_channels((8, 12, 3, 3), new, 3, 4)


def test_the_channels_of_a_description_stay_unless_others_are_asked_for(tmp_path):
    path = saved(build_model("yolov5n", nc=2, ch=4), tmp_path / "w.pt")
    assert build_model(path).spec.ch == 4
    assert build_model(path, ch=1).spec.ch == 1
    assert build_model("yolov5n").spec.ch == 3
