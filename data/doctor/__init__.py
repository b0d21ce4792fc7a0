"""python -m data.doctor: find what is wrong with a data set, and write a clean copy."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data.doctor.report import Report


class _CallablePackage(ModuleType):
    """`from data import doctor` means the function; importing this package puts the package in its place."""

    def __call__(self, *args: Any, **kwargs: Any) -> "Report":
        from data.doctor.examine import doctor

        return doctor(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
