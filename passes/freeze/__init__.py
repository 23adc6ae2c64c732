"""freeze: inputs that have a default value become constants. Changes the interface, so it only runs when asked."""

from __future__ import annotations

from graphopt.pipeline.context import Context
from graphopt.pipeline.passes import Options, Pass


def _run(context: Context, _options: Options) -> None:
    graph = context.model.graph
    frozen = [context.editor.freeze(tensor) for tensor in graph.inputs if tensor in graph.defaults]
    if frozen:
        names = ", ".join(constant.name for constant in frozen[:3])
        more = f" and {len(frozen) - 3} more" if len(frozen) > 3 else ""  # noqa: PLR2004 - as many as are shown
        context.note(f"no longer inputs, but constants: {names}{more}")


FREEZE = Pass(
    "freeze",
    _run,
    """Make every overridable initializer a constant.

Old exporters list all weights as inputs (`keep_initializers_as_inputs`), so that whoever runs the model could feed
other ones, and nothing may be folded into them. This says that nobody does.""",
    keeps_interface=False,
)
