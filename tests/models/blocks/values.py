"""Values for blocks under test: random, in double precision, with normalisations that matter."""

from typing import Any

import torch
from torch import Tensor, nn


def trained(module: nn.Module, seed: int = 0) -> Any:
    """Give every tensor of a block a random value, and return it in eval mode and double precision."""
    generator = torch.Generator().manual_seed(seed)
    module.double().eval()
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if not tensor.is_floating_point() or name.endswith("init_pos"):
            continue
        spread = 0.5 if tensor.dim() < 2 else (1 / tensor[0].numel()) ** 0.5
        tensor.data = spread * torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if name.endswith("running_var"):
            tensor.data = tensor.data.abs() + 0.5
    return module


def maps(*shape: int, n: int = 1) -> list[Tensor]:
    """Return n random maps of a shape."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(n)]


def normed(x: Tensor, norm: Any) -> Tensor:
    """Apply a batch normalisation by its formula."""
    scale = norm.weight / (norm.running_var + norm.eps) ** 0.5
    return (x - norm.running_mean.view(-1, 1, 1)) * scale.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)


def layer_normed(x: Tensor, norm: Any) -> Tensor:
    """Apply a normalisation over the channels of (B, C, H, W) by its formula."""
    mean = x.mean(1, keepdim=True)
    variance = ((x - mean) ** 2).mean(1, keepdim=True)
    return (x - mean) / (variance + 1e-6) ** 0.5 * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)


def linear(x: Tensor, layer: Any) -> Tensor:
    """Apply a linear layer to the channels of (B, C, H, W)."""
    return torch.einsum("oc,bchw->bohw", layer.weight, x) + layer.bias.view(-1, 1, 1)
