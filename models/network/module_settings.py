"""Put a description's `batch_norm` and `modules` on the modules of a network."""

from torch import nn

from models.errors import SpecError
from models.spec.activations import activation
from models.spec.model_spec import ModelSpec
from models.spec.module_settings import Norm, read_module_settings


def apply_module_settings(network: nn.Module, spec: ModelSpec) -> None:
    """Set eps and momentum of batch normalisations and replace activations, as the description says.

    Args:
        network: whose modules the paths name.
        spec: the resolved model.

    Raises:
        SpecError: if a path names no such module.
    """
    settings = read_module_settings(spec.yaml, spec.label)
    if settings.batch_norm is not None:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                _set_norm(module, settings.batch_norm)
    for path, norm in settings.norms.items():
        module = _module(network, path, spec)
        if not isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise SpecError(f"{spec.label}: modules: {path} is a {type(module).__name__}, no batch normalisation")
        _set_norm(module, norm)
    for path, text in settings.activations.items():
        old = _module(network, path, spec)
        if any(True for _ in old.parameters()) or any(True for _ in old.children()):
            raise SpecError(f"{spec.label}: modules: {path} is a {type(old).__name__}, no activation")
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, activation(text, spec.label))


def _set_norm(module: nn.Module, norm: Norm) -> None:
    module.eps, module.momentum = norm  # type: ignore[assignment]


def _module(network: nn.Module, path: str, spec: ModelSpec) -> nn.Module:
    try:
        return network.get_submodule(path)
    except AttributeError:
        raise SpecError(f"{spec.label}: modules: the model has no {path}") from None
