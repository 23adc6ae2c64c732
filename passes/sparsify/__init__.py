"""sparsify: weights of least magnitude become zero."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from graphopt.pipeline.passes import Option, Options, Pass

if TYPE_CHECKING:
    from graphopt.pipeline.context import Context

__all__ = ["SPARSIFY"]

SCOPES = ("layer", "global")


def _run(context: Context, options: Options) -> None:
    from passes.sparsify.zero import zero

    zero(context, options)


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise ValueError(f"expected a share between 0 and 1, found {text}")
    return share


def _pattern(text: str) -> tuple[int, int]:
    stays, of = (int(part) for part in text.replace("-", "of").split("of"))
    if not 0 < stays < of:
        raise ValueError(f"expected such as 2of4, found {text}")
    return stays, of


def _scope(text: str) -> str:
    if text not in SCOPES:
        raise ValueError(f"expected one of {', '.join(SCOPES)}, found {text}")
    return text


SPARSIFY = Pass(
    "sparsify",
    _run,
    inspect.cleandoc("""Make the smallest weights zero; the network keeps its shapes.

    Zeros make compressed files smaller. Only runtimes with sparse kernels run them faster, and ONNX Runtime has none:
    to be faster there, take prune."""),
    options=(
        Option("share", _share, "of the weights that becomes zero, by default 0.5"),
        Option("scope", _scope, "the share is of each layer (layer, the default) or of all weights together (global)"),
        Option("pattern", _pattern, "so many of each few neighbours that are summed over stay, such as 2of4"),
    ),
    safe=False,
)
