"""Give a module attention on its output by swapping its class for a subclass of it.

A subclass, not a hook or a wrapper: copies (the EMA's among them) and pickles keep the attention, and the module's own
state-dict keys stay.
"""

from typing import Any

from torch import nn


class Attended(nn.Module):
    """Mixed in before a module's own class: its output passes through its mechanisms."""

    attention_names: tuple[str, ...]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module, then its mechanisms."""
        return self._attend(super().forward(*args, **kwargs))

    def _attend(self, out: Any) -> Any:
        for name in self.attention_names:
            out = getattr(self, name)(out)
        return out

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        own = getattr(type(self), "__getstate__", None)  # of Python 3.11 on, every class has one
        state = self.__dict__ if own in (None, getattr(object, "__getstate__", None)) else self.__getstate__()
        return _blank, (plain_class(self),), state


class _Fusable(Attended):
    """The same for a class that has a second forward, which ultralytics' fuse() switches to."""

    def forward_fuse(self, *args: Any, **kwargs: Any) -> Any:
        """Do the same once convolution and normalisation are one."""
        return self._attend(super().forward_fuse(*args, **kwargs))  # type: ignore[misc]


_CLASSES: dict[type[nn.Module], type[nn.Module]] = {}


def plain_class(module: nn.Module) -> type[nn.Module]:
    """Return the class that a module had before it got attention; its own if it has none."""
    kind: type[nn.Module] = type(module)
    return kind.__mro__[kind.__mro__.index(Attended) + 1] if issubclass(kind, Attended) else kind


def append_attention(module: nn.Module, name: str, mechanism: nn.Module) -> None:
    """Make a mechanism a child of a module, run on its output after any earlier one; in place.

    Args:
        module: any module that is no nn.Sequential of its own right.
        name: of the child.
        mechanism: (B, C, *spatial) → the same shape.
    """
    module.add_module(name, mechanism)
    if not isinstance(module, Attended):
        module.__class__ = _attended_class(type(module))
    module.attention_names = (*getattr(module, "attention_names", ()), name)  # type: ignore[assignment]


def _attended_class(base: type[nn.Module]) -> type[nn.Module]:
    if base not in _CLASSES:
        mixin = _Fusable if hasattr(base, "forward_fuse") else Attended
        _CLASSES[base] = type(f"Attended{base.__name__}", (mixin, base), {"__module__": base.__module__})
    return _CLASSES[base]


def change_plain_class(module: nn.Module, new: type[nn.Module]) -> None:
    """Give a module another class of the same attributes, in place; attention on its output stays.

    Args:
        module: any module.
        new: its class from now on, leaving attention aside.
    """
    module.__class__ = _attended_class(new) if isinstance(module, Attended) else new


def _blank(base: type[nn.Module]) -> nn.Module:
    cls = _attended_class(base)
    return cls.__new__(cls)
