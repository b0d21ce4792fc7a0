"""Every mechanism of the registry against the contract that all share."""

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention import ATTENTION, build_attention
from attention.docs.limits import LIMITS, divisor_of_channels
from attention.registry import options

NAMES = ATTENTION.names()
every = pytest.mark.parametrize("name", NAMES)


def randomised(name: str, channels: int, *, identity: bool = False, **kwargs: Any) -> nn.Module:
    """A mechanism with no parameter at a special value."""
    torch.manual_seed(0)
    module = build_attention(name, channels, identity=identity, **kwargs)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(
                0.2 * torch.randn_like(parameter) / max(parameter[0].numel() if parameter.dim() else 1, 1) ** 0.5
            )
    return module


def same_format(y: Tensor, x: Tensor) -> bool:
    """Whether both are of one shape, dtype and memory format."""
    formats = (torch.contiguous_format, torch.channels_last)
    return (y.shape, y.dtype) == (x.shape, x.dtype) and all(
        y.is_contiguous(memory_format=f) or not x.is_contiguous(memory_format=f) for f in formats
    )


def test_the_registry_is_complete() -> None:
    tier1 = (
        "SE ECA CBAM SKUnit SKAttention SKDilated GAM NonLocal MHSA2D SelfAttention2D GC CoordAtt SimAM"
        " ShuffleAttention TripletAttention EfficientMultiScale HardAttention"
    )
    tier2 = (
        "BAM NAM SCSE DoubleAttention DANet CrissCross GCT SGE CPCA MSCA LSK MLCA ELA CAA PolarizedSelfAttention CoT"
        " SplitAttention ExternalAttention AreaAttention ParNetAttention"
    )
    tier3 = "LCT FcaNet SRM PyramidSqueeze BiLevelRouting DeformableAttention OutlookAttention"
    asked_for = (
        "SpatialAttention LSKA AIFI PSA iRMB CascadedGroupAttention SEAM MultiSEAM CAFM SHSA DeformableLKA CloAtt"
        " FocusedLinear SCSA EfficientAdditive MSDA EffectiveSE MCA Mona TSSA PolaFormer ACmix"
        " S2Attention SOCA AggregatedAttention"
    )
    assert {*f"{tier1} {tier2} {tier3} {asked_for} PlainConv".split()} == set(NAMES)
    assert ATTENTION["EMA"] is ATTENTION["EfficientMultiScale"]


def test_every_mechanism_has_an_oracle(root: Any) -> None:
    text = "".join(p.read_text() for p in (root / "tests" / "attention" / "mechanisms").glob("test_oracle_*.py"))
    assert [name for name in NAMES if f'"{name}", ' not in text] == []


@every
@pytest.mark.parametrize(
    ("batch", "channels", "height", "width", "training"),
    [
        (1, 8, 1, 1, True),
        (1, 8, 1, 1, False),
        (2, 12, 5, 9, False),
        (1, 64, 8, 6, True),
        (1, 40, 1, 7, True),
        (2, 512, 2, 3, False),
    ],
)
def test_shape_dtype_and_memory_format_are_kept(
    name: str, batch: int, channels: int, height: int, width: int, training: bool
) -> None:
    kwargs = {"kernels": (1, 3)} if name == "SKAttention" else {"kernel_size": 3} if name == "GAM" else {}
    module = randomised(name, channels, **kwargs).train(training)
    x = torch.randn(batch, channels, height, width)
    before = x.clone()
    plain = module(x)
    assert same_format(plain, x)
    assert plain.isfinite().all()
    assert torch.equal(x, before), "the input was written to"
    last = module(x.to(memory_format=torch.channels_last))
    assert same_format(last, x.to(memory_format=torch.channels_last))
    if not training:
        torch.testing.assert_close(last, plain, rtol=1e-3, atol=1e-4)


@every
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_narrow_and_odd_widths_work_or_are_refused_at_construction(name: str, channels: int) -> None:
    divisor = divisor_of_channels(name)
    if channels % divisor:
        with pytest.raises(ValueError, match=f"channels={channels} "):
            build_attention(name, channels)
        return
    module = build_attention(name, channels)
    x = torch.randn(1, channels, 4, 5, requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert y.shape == x.shape
    assert y.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@every
def test_every_parameter_and_the_input_receive_a_gradient(name: str) -> None:
    module = randomised(name, 32)
    x = torch.randn(2, 32, 7, 9, requires_grad=True)
    (module(x) * torch.randn(2, 32, 7, 9)).sum().backward()
    missing = [key for key, p in module.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert missing == []
    # The mean over a batch takes a bias before batch normalisation away, and a softmax a shift of all its logits.
    gone = (
        "conv.bias",
        "key.bias",
        "mask.bias",
        "phi.bias",
        "fc1.bias",
        "fc1.0.bias",
        "parts.bias",
        "fuse1.0.bias",
        "0.bias",
    )
    dead = [k for k, p in module.named_parameters() if p.grad.abs().max() < 1e-7 and not k.endswith(gone)]  # type: ignore[union-attr]
    assert dead == []
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("scale", [1, 30])
def test_half_precision(name: str, dtype: torch.dtype, scale: float) -> None:
    module = randomised(name, 32).eval()
    x = scale * torch.randn(1, 32, 16, 20)
    exact = module(x)
    with torch.autocast("cpu", dtype=dtype):
        autocast = module(x)
        low = module(x.to(dtype))
    assert autocast.dtype == torch.float32
    assert low.dtype == dtype
    whole = module.to(dtype)(x.to(dtype))
    assert whole.dtype == dtype
    for y in (autocast, low, whole):
        assert y.isfinite().all()
        error = (y.float() - exact).norm() / exact.norm()
        assert error < (0.15 if dtype == torch.bfloat16 else 0.05) * (1 if scale == 1 else 4)


@every
def test_a_gradient_in_float16(name: str) -> None:
    """With a loss scaled so that what comes back is about 1, as a scaler brings it about."""
    torch.manual_seed(0)
    module = build_attention(name, 32).train()
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    x, cotangent = torch.randn(2, 32, 8, 9), torch.randn(2, 32, 8, 9)
    exact = x.clone().requires_grad_()
    (copy.deepcopy(module)(exact) * cotangent).sum().backward()
    low = x.half().requires_grad_()
    with torch.autocast("cpu", dtype=torch.float16):
        # Within autocast, as some loops have it: products on the way back are in half precision then.
        (module(low).float() * cotangent).sum().backward()
    assert [key for key, p in module.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert low.grad is not None
    assert exact.grad is not None
    # Rounding moves single values across the kink of a ReLU, or regions in and out of the best.
    assert (low.grad.float() - exact.grad).norm() < 0.2 * exact.grad.norm()


@every
@pytest.mark.parametrize("channels", [64, 256])
def test_float16_holds_large_activations_or_the_page_says_bfloat16(name: str, channels: int) -> None:
    torch.manual_seed(0)
    module = build_attention(name, channels).eval()
    x = torch.nn.functional.silu(torch.randn(1, channels, 20, 20))
    x = x * (100 / x.square().mean().sqrt())
    with torch.no_grad():
        with torch.autocast("cpu", dtype=torch.float16):
            autocast = module(x)
        whole = module.half()(x.half())
    assert (autocast.isfinite().all() and whole.isfinite().all()) or "bfloat16" in (ATTENTION[name].__doc__ or "")


@every
@pytest.mark.parametrize("identity", [False, True], ids=["plain", "identity"])
def test_a_training_step_under_autocast(name: str, identity: bool) -> None:
    module = randomised(name, 32, identity=identity)
    before = nn.Conv2d(3, 32, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = before(torch.randn(2, 3, 10, 12))
        y = module(x)
    assert y.dtype == x.dtype == torch.bfloat16
    y.float().square().mean().backward()
    for parameter in (*module.parameters(), *before.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


@every
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_identity_is_exact(name: str, training: bool) -> None:
    module = build_attention(name, 32, identity=True).train(training)
    x = torch.randn(2, 32, 7, 9)
    assert torch.equal(module(x), x)


@pytest.mark.parametrize("gate", ["2sigmoid", "1+tanh"])
@pytest.mark.parametrize("name", [name for name in NAMES if "gate" in options(name)])
def test_gates_that_are_one_at_zero_start_as_the_identity(name: str, gate: str) -> None:
    module, x = build_attention(name, 32, gate=gate), torch.randn(2, 32, 7, 9)
    assert torch.equal(module(x), x)
    with pytest.raises(ValueError, match="gate='tanh', expected one of 'sigmoid', '2sigmoid'"):
        build_attention(name, 32, gate="tanh")


@every
def test_state_pickle_and_copy(name: str) -> None:
    module = randomised(name, 24).eval()
    x = torch.randn(1, 24, 6, 7)
    y = module(x)
    assert torch.equal(module(x), y), "a forward pass in eval mode left something behind"
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = build_attention(name, 24).eval()
    other.load_state_dict(torch.load(file, weights_only=True))
    for duplicate in (other, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(duplicate(x), y)


@every
def test_training_steps_are_bit_identical(name: str) -> None:
    def train() -> list[Tensor]:
        module = randomised(name, 16)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1) if list(module.parameters()) else None
        outputs = []
        for _ in range(2):
            x = torch.randn(2, 16, 8, 9, requires_grad=True)
            y = module(x)
            y.square().mean().backward()
            outputs += [y.detach(), x.grad]
            if optimizer:
                optimizer.step()
                optimizer.zero_grad()
        return [*outputs, *module.state_dict().values()]

    torch.use_deterministic_algorithms(True)
    try:
        first, second = train(), train()
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("name", [name for name in NAMES if "dims" in options(name)])
def test_sequences_and_volumes(name: str) -> None:
    kwargs = {"kernels": (1, 3)} if name == "SKAttention" else {}
    for dims, shape in ((1, (9,)), (3, (2, 5, 4))):
        module, x = randomised(name, 16, dims=dims, **kwargs), torch.randn(2, 16, *shape)
        assert module(x).shape == x.shape
        assert build_attention(name, 16, dims=dims, identity=True, **kwargs)(x).equal(x)
    with pytest.raises(ValueError, match="dims=4, expected one of 1, 2, 3"):
        build_attention(name, 16, dims=4)


def test_exactly_the_six_take_dims() -> None:
    taking = {name for name in NAMES if "dims" in options(name)}
    assert taking == {"SE", "ECA", "CBAM", "GC", "NonLocal", "SKAttention"}


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("CBAM", {"kernel_size": 4}, "kernel_size=4 is even, expected an odd number such as 5"),
        ("SE", {"reduction": 0}, "reduction=0, expected a positive number"),
        ("ECA", {"kernel_size": 2}, "kernel_size=2 is even"),
        ("SKAttention", {"kernels": []}, r"kernels=\[\], expected a list of odd sizes"),
        ("SKAttention", {"kernels": 3}, "kernels=3, expected a list of odd sizes"),
        ("SKAttention", {"groups": 5}, "channels=64 is not divisible by groups=5"),
        ("GAM", {"groups": 3}, "groups=3 does not divide channels=64"),
        ("GAM", {"channel_gate": False, "gate": "2sigmoid"}, "needs channel_gate=True"),
        ("GAM", {"gate_shuffle": 3}, "gate_shuffle=3 does not divide channels=64"),
        ("GAM", {"border": "reflect"}, "border='reflect', expected one of 'zeros', 'replicate'"),
        ("NonLocal", {"mode": "cosine"}, "mode='cosine', expected one of 'embedded', 'gaussian', 'dot', 'concat'"),
        ("HardAttention", {"temperature": 0}, "temperature=0, expected a positive number"),
        ("SimAM", {"lam": 0}, "lam=0, expected a positive number"),
        ("MLCA", {"local_weight": 2}, "local_weight=2, expected a number from 0 to 1"),
        ("FcaNet", {"frequencies": 17}, "at most 16"),
        ("CoT", {"reduction": -1}, "reduction=-1, expected a positive number"),
        ("SplitAttention", {"reduction": 0}, "reduction=0, expected a positive number"),
        ("ELA", {"variant": "X"}, "variant='X', expected one of 'T', 'B', 'S', 'L'"),
        ("LSKA", {"kernel_size": 9}, "kernel_size=9, expected one of 7, 11, 23, 35, 41, 53"),
        ("AIFI", {"temperature": 0}, "temperature=0, expected a positive number"),
        ("PSA", {"expansion": 0}, "expansion=0, key_ratio=0.5, expected positive numbers"),
        ("iRMB", {"norm": "group"}, "norm='group', expected one of 'batch', 'layer'"),
        ("CascadedGroupAttention", {"kernels": []}, r"kernels=\[\], expected an odd size or a list of them"),
        ("CAFM", {"definition": "text"}, "definition='text', expected one of 'code', 'paper'"),
        ("SHSA", {"ratio": 1.5}, "ratio=1.5, expected a number above 0 and up to 1"),
        ("MultiSEAM", {"patches": []}, r"patches=\[\], expected a list of sizes such as \[3, 5, 7\]"),
        ("CloAtt", {"local": 2}, "local=2, expected a number from 0 to 1"),
        ("FocusedLinear", {"focus": 0}, "focus=0, expected a positive number"),
        ("SCSA", {"kernels": (3, 5)}, r"kernels=\(3, 5\), expected four odd sizes"),
        ("MCA", {"channel_kernel": 4}, "channel_kernel=4 is even, expected an odd number such as 5"),
        ("Mona", {"dropout": 1}, "dropout=1, expected a number from 0 to below 1"),
        ("PolaFormer", {"alpha": -1}, "alpha=-1, expected a number of at least 0"),
        ("SOCA", {"iterations": 1}, "iterations=1, expected at least 2"),
        ("AggregatedAttention", {"pool_size": 0}, "pool_size=0, expected a whole number of at least 1"),
        ("MSDA", {"dilations": ()}, r"dilations=\(\), expected a list such as \[1, 2, 3\]"),
    ],
)
def test_a_value_that_cannot_work_is_an_error_at_construction(name: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_attention(name, 64, **kwargs)


def test_gumbel_is_noisy_in_training_only() -> None:
    module, x = build_attention("HardAttention", 32, estimator="gumbel", open_bias=0.0), torch.rand(4, 32, 3, 3) + 1
    noisy = module(x)
    kept = (noisy != 0).float().mean()
    assert 0.3 < kept < 0.7
    assert torch.equal(module.eval()(x), torch.zeros_like(x))
    module.train()(x).sum().backward()
    assert module.logits[2].bias.grad.abs().sum() > 0


def test_limits_name_only_mechanisms_that_exist() -> None:
    assert set(LIMITS) <= set(NAMES)
