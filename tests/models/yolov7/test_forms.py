"""One model in several forms: flat rows or blocks, training or deploy, with attention."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models import SpecError, build_model, import_official, load_model, read_spec, reparameterize
from models.reparameterization import compare_detectors, deploy_spec
from models.weights.checkpoint import FORMAT, save_checkpoint
from models.weights.official import OfficialCheckpoint

ATTENTION = ["CBAM@neck.P3,neck.P5", "SE@backbone.P4", "ECA@Concat[-1]"]
TINY = ["yolov7-tiny-sk", "yolov7-tiny-cbam-identity"]
BASES = ["yolov7-tiny", "yolov7", "yolov7x", "yolov7-w6", "yolov7-e6", "yolov7-d6", "yolov7-e6e"]


def shaken(detector: Any) -> Any:
    """Move all parameters away from their initial values, so that every part of the model matters."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, p in detector.named_parameters():
            if key.endswith(("gamma", "bn.weight", "bn.bias", "implicit")) or "attention" in key or "+" in key:
                p.add_(0.1 * torch.randn(p.shape, generator=generator))
    return detector.eval()


def save(detector: Any, path: Path) -> Path:
    """Write a checkpoint of ours."""
    content = {
        "format": FORMAT,
        "spec": dict(detector.spec.yaml),
        "names": detector.names,
        "stride": detector.stride.tolist(),
        "weights": detector.state_dict(),
        "hyp": dict(detector.hyp),
        "provenance": {},
    }
    save_checkpoint(path, content)
    return path


@pytest.fixture(scope="module")
def trained() -> Any:
    """yolov7-tiny with attention in several places, for 3 classes."""
    places = [*ATTENTION, {"module": "SE", "inside": "neck.ELAN[0]"}, {"module": "CBAM", "between": [4, 17]}]
    return shaken(build_model("yolov7-tiny", nc=3, attention=places))


def test_deploy_form_with_attention_saves_and_loads(trained: Any, tmp_path: Path) -> None:
    deployed = reparameterize(trained)
    assert deployed.agreement.holds
    assert deployed.agreement.raw < 1e-4
    assert deployed.spec.head.module == "PlainDetect"
    again = load_model(save(deployed, tmp_path / "deploy.pt"))
    assert compare_detectors(deployed, again, 0).holds
    assert compare_detectors(trained, again, 1e-4).holds
    assert again.hyp == deployed.hyp


def test_attention_inside_a_branched_convolution_outlives_the_merge() -> None:
    detector = shaken(build_model("yolov7", nc=2, attention=[{"module": "SE", "inside": "RepConv"}]))
    deployed = reparameterize(detector)
    assert deployed.agreement.raw < 1e-4
    assert any(".rbr_reparam." in key for key in deployed.state_dict())
    assert sum(".attention." in key for key in deployed.state_dict()) == sum(
        ".attention." in key for key in detector.state_dict()
    )


def test_deploy_form_of_a_fused_detector(trained: Any) -> None:
    assert reparameterize(build_model(trained.spec.yaml).eval().fuse()).is_fused()


def test_the_detector_itself_stays(trained: Any) -> None:
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    reparameterize(trained)
    for key, value in trained.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_a_difference_is_refused(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.heads.yolov7 import ImplicitHead

    monkeypatch.setattr(ImplicitHead, "fuse", lambda self: None)
    with pytest.raises(RuntimeError, match="does not compute the same: largest differences: logits"):
        reparameterize(trained)


def test_yolov5_has_nothing_to_fold() -> None:
    detector = build_model("yolov5n", nc=2)
    assert compare_detectors(detector, reparameterize(detector), 0).holds


def test_stock_heads_have_no_deploy_form() -> None:
    with pytest.raises(SpecError, match=r"its head \(Detect\) has no deploy form"):
        reparameterize(build_model("ultralytics/yolov8n.yaml", nc=2))


def test_official_deploy_file_gets_the_head_of_yolov7(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    detector = reparameterize(build_model("yolov7-tiny", nc=1))
    description = {**detector.spec.yaml}
    description["head"] = [*description["head"][:-1], [[26, 27, 28], 1, "Detect", ["nc", "anchors"]]]
    state = {key.replace(".anchor_wh", ".anchors"): value for key, value in detector.state_dict().items()}
    content = OfficialCheckpoint(state, description, {0: "cell"}, 1, "yolov7")
    path = tmp_path / "deploy.pt"
    torch.save({}, path)
    monkeypatch.setattr("models.source.read_official", lambda _: content)
    loaded = load_model(path)
    assert loaded.spec.head.module == "PlainDetect"  # whose single class is scored by objectness alone
    assert compare_detectors(detector, loaded, 0).holds


def test_auxiliary_rows_are_dropped_and_places_follow() -> None:
    spec = read_spec(
        "yolov7-w6", ["CBAM@neck.P3,Conv[-1],Conv[-5]", {"module": "SE", "between": [17, 43], "name": "side"}]
    )
    deployed = deploy_spec(spec)
    # Rows 41 to 44 are the auxiliary convolutions; Conv[-1] is the last of them, Conv[-5] the lead's last.
    assert [layer.name for layer in deployed.layers if layer.attention] == ["37+CBAM", "40+CBAM"]
    assert deployed.head.name == "41"
    assert deployed.head.reads == ("37+CBAM", "38", "39", "40+CBAM")


def test_deploy_form_of_e6e_drops_what_only_auxiliary_outputs_read() -> None:
    assert len(read_spec("yolov7-e6e").layers) - len(deploy_spec(read_spec("yolov7-e6e")).layers) == 4


def test_training_weights_go_into_the_deploy_form(trained: Any, tmp_path: Path) -> None:
    deployed = build_model(deploy_spec(trained.spec).yaml, weights=save(trained, tmp_path / "last.pt"))
    assert deployed.transfer_report.complete
    assert compare_detectors(trained, deployed, 1e-4).holds


def test_blocks_and_flat_rows_exchange_weights(shared: Path, tmp_path: Path) -> None:
    path = shared / "parity" / "ckpt" / "yolov7-tiny.pt"
    flat = load_model(path)
    blocks = build_model("yolov7-tiny", weights=path, nc=flat.nc)
    again = build_model(flat.spec.yaml, weights=save(blocks, tmp_path / "blocks.pt"))
    assert again.transfer_report.complete
    assert compare_detectors(flat, blocks, 1e-4).holds
    assert compare_detectors(flat, again, 0).holds


def test_flat_weights_go_beneath_attention(shared: Path) -> None:
    path = shared / "parity" / "ckpt" / "yolov7-tiny.pt"
    original = load_model(path)
    for name in TINY:
        detector = build_model(f"cfg/attention/{name}.yaml", weights=path, nc=original.nc)
        report = detector.transfer_report
        assert report.complete
        assert not report.mismatched
        assert all("+" in key for key in report.new)
        if name.endswith("identity"):
            assert compare_detectors(original, detector, 1e-4).holds


def test_another_family_is_not_renamed(tmp_path: Path) -> None:
    path = save(build_model("yolov5n", nc=2), tmp_path / "v5.pt")
    report = build_model("yolov7-tiny", nc=2, weights=path).transfer_report
    assert not any("flat." in key for key in report.unused)


def test_official_deploy_tensors_fit_the_training_description(
    reference: Callable[[str], dict[str, Any]], official_state: Callable[..., dict[str, torch.Tensor]]
) -> None:
    state = official_state(reference("yolov7-tiny"))
    plain = {key: value for key, value in state.items() if ".ia." not in key and ".im." not in key}
    detector = import_official(plain, "yolov7-tiny")
    assert detector.spec.head.module == "PlainDetect"
    assert sum(p.numel() for p in detector.parameters()) == 6_227_101


def test_a_missing_tensor_is_named(
    reference: Callable[[str], dict[str, Any]], official_state: Callable[..., dict[str, torch.Tensor]]
) -> None:
    from models import CheckpointError

    state = official_state(reference("yolov7-tiny"))
    del state["model.28.conv.weight"]
    with pytest.raises(CheckpointError, match=r"misses model\.8\.cv3\.conv\.weight"):
        import_official(state, "yolov7-tiny")


@pytest.mark.parametrize("name", BASES)
def test_attention_fits_after_every_layer(name: str) -> None:
    base = read_spec(name, nc=2)
    for layer in base.layers[:-1]:
        spec = read_spec(name, [f"ECA@{layer.name}"], nc=2)
        assert {old.name for old in base.layers} <= {new.name for new in spec.layers}
        assert spec.layer(f"{layer.name}+ECA").channels == layer.channels


@pytest.mark.parametrize("row", range(29))
def test_weights_stay_whatever_row_attention_follows(row: int, plain: tuple[Any, Path]) -> None:
    detector, path = plain
    report = build_model("yolov7-tiny", nc=2, attention=[f"ECA@{row}"], weights=path).transfer_report
    assert sorted(report.transferred) == sorted(detector.state_dict())
    assert all(key.startswith(f"model.{row}+ECA.") for key in report.new)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """yolov7-tiny for 2 classes, and its checkpoint."""
    detector = build_model("yolov7-tiny", nc=2)
    return detector, save(detector, tmp_path_factory.mktemp("plain") / "plain.pt")
