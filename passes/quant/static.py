"""Static quantisation: activations and weights in integers, on grids that calibration found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from graphopt.calibration.methods import AUTO, METHODS
from graphopt.calibration.ranges import Range, ranges
from graphopt.errors import UsageError
from graphopt.ir.model import Model
from graphopt.ir.reader import load
from graphopt.ir.types import Node, Tensor
from graphopt.numerics.contract import Judged, Lossy
from graphopt.pipeline.context import Context
from graphopt.rewrite.driver import Refusal, rewrite_all
from passes.quant import floats, islands, placement, roundtrip, samples, saturation
from passes.quant.accuracy.equalise import equalise
from passes.quant.channels import widen
from passes.quant.emit import WRITERS, Writer, Written
from passes.quant.existing import Given, lift
from passes.quant.kernels import Integers
from passes.quant.options import Existing, Settings
from passes.quant.plan import Manner, Plan, make
from passes.quant.prepare import prepare, raise_opset
from passes.quant.processor import integers_for
from passes.quant.silu import silu_of_pixels
from passes.quant.trust import warning
from passes.quant.tuning import tuned
from passes.quant.units import Unit, bounds, find

RULE = "quantised_layer"
FLOOR = 10.0
"""Signal to noise of a layer, in dB, below which it stays float unless something else was asked for."""
NO_DATA = (
    "static quantisation needs samples of what the model is fed: give --calibration DATA, or choose a scheme that "
    "needs none (scheme=dynamic, or one for weights only)"
)
BY_OUTPUT = (AUTO, *METHODS)
"""Ways to find ranges that are compared by what they do to the outputs, where nobody chose."""
WIDE_SINCE = 21
"""The opset from which on QuantizeLinear and DequantizeLinear know 16-bit integers."""
UNUSED = "the runtime does not take its integer kernel here"


def run(context: Context, settings: Settings) -> None:
    """Quantise what the target computes in integers. Raises UsageError where it cannot, or there is no data."""
    integers = integers_for(context.target, settings.scheme)
    manner = manner_of(integers, settings)
    keep = settings.existing is Existing.KEEP
    if context.calibration is None and not keep:
        raise UsageError(NO_DATA)
    given = lift(context) if keep else Given()
    prepare(context, settings)
    if integers.activation.itemsize > 1:
        raise_opset(context, WIDE_SINCE)
    if settings.equalise and manner.channels and not keep:
        equalise(context)
    if integers.fours and not keep:
        widen(context)
    if settings.silu == "lines" and integers.requantises and integers.activation.itemsize == 1:
        rewrite_all(context, (silu_of_pixels,))
        context.begin(context.step)
    units, reasons = find(context, integers)
    allowed = wanted(units, settings)
    chosen = placement.choose(context, allowed)
    plan = _planned(context, settings, chosen, manner, given)
    refused = write(context, plan, settings)
    for unit in units:
        reasons[unit.node] = _reason(unit, allowed, chosen, {**plan.reasons, **refused})
    tell(context, {node: reason for node, reason in reasons.items() if reason != UNUSED})
    if not plan.units:
        context.note(_nothing(reasons))
    if context.checks and integers.requantises and integers.activation.itemsize == 1:
        floats.report(context, {node.name: reason for node, reason in reasons.items()})


def _planned(context: Context, settings: Settings, units: list[Unit], manner: Manner, given: Given) -> Plan:
    """The plan for units: with data, the best of those that ranges allow."""
    from passes.quant.accuracy import refine

    methods = BY_OUTPUT if settings.calibrate == AUTO and context.calibration is not None else (settings.calibrate,)
    plans = {
        method: make(units, *_ranges(context, units, replace(settings, calibrate=method), manner), manner, given)
        for method in methods
    }
    first = plans[methods[0]]
    if context.calibration is None or not first.weights:
        return first
    return refine(context, settings, units, plans, manner, lambda plan: candidate(context, plan, settings))


def _nothing(reasons: Mapping[Node, str]) -> str:
    """Why no layer was quantised."""
    if not reasons:
        return "quant found no layer with an integer kernel on this target"
    reason, count = Counter(reasons.values()).most_common(1)[0]
    return f"quant left every layer as it is; {count} of {len(reasons)} because {reason}"


def _reason(unit: Unit, allowed: list[Unit], chosen: list[Unit], reasons: Mapping[str, str]) -> str:
    """Why a unit computes in floats, if it does."""
    if unit.name in reasons:
        return reasons[unit.name]
    if unit not in allowed:
        return "it was left out (exclude, only)"
    return UNUSED if unit in chosen else "converting to integers and back would take longer than floats do"


def manner_of(integers: Integers, settings: Settings) -> Manner:
    """How the target has it, where nothing else was asked for. Raises UsageError for what it cannot run."""
    if not integers.kernels:
        raise UsageError(integers.lacking)
    symmetric = integers.symmetric if settings.symmetric is None else settings.symmetric
    if integers.symmetric and not symmetric:
        raise UsageError(f"the target {integers.name} takes symmetric activations only: leave out symmetric=no")
    if settings.format == "qoperator" and (not integers.requantises or integers.activation.itemsize > 1):
        raise UsageError(f"the target {integers.name} reads the format qdq only: leave out format=qoperator")
    channels = integers.channels if settings.channels is None else settings.channels
    return Manner(integers, channels, symmetric, settings.bits or integers.bits)


def wanted(units: list[Unit], settings: Settings) -> list[Unit]:
    """The units that the options do not leave out. Raises UsageError for a name that no unit has."""
    names = {unit: {unit.name, unit.node.name, *(tensor.name for tensor in unit.node.outputs)} for unit in units}
    for name in (*settings.exclude, *settings.only):
        if not any(name in called for called in names.values()):
            raise UsageError(f"there is no layer {name!r} that the target could compute in integers")
    only, left_out = set(settings.only), set(settings.exclude)
    return [unit for unit in units if not names[unit] & left_out and (not only or names[unit] & only)]


def concerned(units: Sequence[Unit]) -> list[Tensor]:
    """What units read and compute: the tensors that get grids."""
    found = dict.fromkeys(tensor for unit in units for tensor in (*unit.data, unit.inner, *unit.outputs))
    return [tensor for tensor in found if tensor is not None]


def _cut_off(units: Sequence[Unit]) -> dict[Tensor, Tensor]:
    """Operands of sums that nothing else reads, with the other ones, where the sums are cut off at zero."""
    return {
        tensor: other
        for unit in units
        if unit.node.op == "Add" and unit.activation is not None and (bounds(unit.activation) or (-1.0,))[0] == 0
        for tensor, other in (unit.data, unit.data[::-1])
        if len(tensor.outputs) == 1
    }


def _ranges(
    context: Context, units: list[Unit], settings: Settings, manner: Manner
) -> tuple[dict[str, Range], dict[str, str]]:
    """The ranges of what units read and compute, and why some have none, by name. Calibrated once in a compile."""
    if context.calibration is None:
        return {}, {}
    tensors = concerned(units)
    names = tuple(tensor.name for tensor in tensors)
    key: Hashable = ("quant", "ranges", _state(context), names, settings.calibrate, settings.samples, manner.symmetric)
    if key not in context.memo:
        found = ranges(
            context.model,
            context.calibration,
            tensors,
            settings.calibrate,
            levels=2 ** (8 * manner.integers.activation.itemsize),
            symmetric=manner.symmetric,
            sums=_cut_off(units),
            samples=settings.samples,
            seed=context.seed,
            progress=context.say,
            memo=context.memo,
            file=Path(settings.ranges) if settings.ranges else None,
        )
        known = {tensor.name: edges for tensor, edges in found.ranges.items()}
        skipped = {tensor.name: reason for tensor, reason in found.skipped.items()}
        context.memo[key] = known, skipped, warning(found.samples)
    known, skipped, few = context.memo[key]
    if few is not None:
        context.note(few)
    return known, skipped


def _state(context: Context) -> Hashable:
    """What the model is now: a compile comes to the same model whenever it made the same rewrites."""
    return tuple(context.keys)


def captured(context: Context, units: list[Unit]) -> samples.Captured:
    """What units read and compute on a few samples, by the names of tensors. Captured once in a compile."""
    tensors = list(dict.fromkeys(tensor for unit in units for tensor in (*unit.node.inputs, *unit.outputs)))
    key: Hashable = ("quant", "captured", _state(context), tuple(tensor.name for tensor in tensors))
    if context.calibration is None:
        return []
    if key not in context.memo:
        context.memo[key] = samples.capture(context.model, context.calibration, tensors, context.bound[0])
    result: samples.Captured = context.memo[key]
    return result


def write(context: Context, plan: Plan, settings: Settings) -> dict[str, str]:
    """Make the rewrites that a plan asks for: one for each unit, checked on what it is fed by the calibration data.

    Returns why units were not let through, by name.
    """
    integers = integers_for(context.target, settings.scheme)
    units = [unit for unit in find(context, integers)[0] if unit.name in set(plan.units)]
    held = captured(context, units) if context.checks else []
    emulated = saturation.layers(units, plan, held, context.seed) if integers.saturates else {}
    if emulated and not held:
        context.note(saturation.unseen(len(emulated)))
    if any(one.share for one in emulated.values()):
        context.tabulate(saturation.table({name: one for name, one in emulated.items() if one.share}))
    floor = FLOOR if settings.floor is None else settings.floor
    promise = Judged() if context.calibration is None else Lossy("sqnr", floor)
    wrong = roundtrip.broken(units, plan) if context.checks else {}
    plan, layouts = tuned(plan, units, context.shapes, integers)
    writer = WRITERS[settings.format](plan, integers, layouts)
    refused: dict[str, str] = {}
    for unit in units:
        written = writer.unit(unit)
        rewrite = written.rewrite(context.editor.home[unit.node], unit)
        found = emulated.get(unit.name)
        saturated = saturation.verdict(found, floor) if found is not None and found.share and held else None
        evidence = wrong.get(unit.name, saturated)
        activations = samples.feeds(held, _meaning(writer, written)) if held else None
        if context.apply(rewrite, RULE, promise, evidence, activations) is not None:
            writer.commit(written)
        else:
            refused[unit.name] = "it was undone: see what was rolled back"
    islands.shield(context)
    return refused


def _meaning(writer: Writer, written: Written) -> samples.Meaning:
    both = {**writer.held, **written.held}
    read = {held.floats: (tensor.name, held.grid.rounded) for tensor, held in both.items() if held.floats is not None}
    return read | {held.integers: (tensor.name, held.grid.quantise) for tensor, held in both.items()}


def candidate(context: Context, plan: Plan, settings: Settings) -> Model:
    """What `write` makes of a copy of the model, unchecked: to measure a plan before it is carried out."""
    context.editor.flush()
    copy = Context(load(context.model.to_proto()), target=context.target, resources=context.resources)
    write(copy, plan, settings)
    copy.editor.flush()
    return copy.model


def tell(context: Context, reasons: Mapping[Node, str]) -> None:
    """Put down why calls stay as they are."""
    for node, reason in reasons.items():
        label = f"{node.op} {node.name or node.outputs[0].name}"
        context.refuse(Refusal(RULE, label, label, 1, reason))
