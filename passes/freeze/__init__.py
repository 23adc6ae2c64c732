"""freeze: inputs that have a default value become constants. Changes the interface, so it only runs when asked."""

from __future__ import annotations

from graphopt.pipeline.context import Context
from graphopt.pipeline.passes import Options, Pass

SHOWN = 3
"""Names in a note."""


def _run(context: Context, _options: Options) -> None:
    graph = context.model.graph
    frozen = [context.editor.freeze(tensor) for tensor in graph.inputs if tensor in graph.defaults]
    if frozen:
        names = ", ".join(constant.name for constant in frozen[:SHOWN])
        more = f" and {len(frozen) - SHOWN} more" if len(frozen) > SHOWN else ""
        context.note(f"no longer inputs, but constants: {names}{more}")


FREEZE = Pass(
    "freeze",
    _run,
    """Make every overridable initializer a constant.

Old exporters list all weights as inputs (`keep_initializers_as_inputs`), so that whoever runs the model could feed
other ones, and nothing may be folded into them. This says that nobody does.""",
    keeps_interface=False,
)
