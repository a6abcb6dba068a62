"""RegBench: a benchmark of regularizers against adversarial examples.

In Python: `benchmark.evaluate(model, track)`, `benchmark.load_model(entry)` and
`benchmark.try_regularizer(method)`; importing this loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .notebook import benchmark, evaluate, load_images, load_model, try_regularizer

    __version__: str

__all__ = ["benchmark", "evaluate", "load_images", "load_model", "try_regularizer"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("regbench")
    if name in __all__:
        from . import notebook as interactive

        return getattr(interactive, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
