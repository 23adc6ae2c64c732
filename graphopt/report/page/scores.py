"""What was measured of the accuracy of models, for the page."""

from __future__ import annotations

import math
from collections.abc import Iterator

from graphopt.measure.evaluate import Evaluation, Measure, Scored
from graphopt.report.evaluation_text import interval, shown, verdict
from graphopt.report.page import charts
from graphopt.report.page.charts import Interval
from graphopt.report.page.drawing import chart
from graphopt.report.page.html import Item, Section, Table, columns
from graphopt.report.page.speed import colour
from graphopt.report.style import counted


def scores(evaluation: Evaluation | None, names: list[str]) -> Iterator[Section]:
    """Scores with their intervals. names: what the models are called here."""
    if evaluation is None:
        return
    drawn = [_chart(evaluation, place, metric, names) for place, metric in enumerate(evaluation.metrics)]
    items = [item for item in drawn if item is not None]
    items.append(Item(table=_table(evaluation, names)))
    words = (
        f"{counted(evaluation.samples, 'sample')} of {evaluation.data}, the same for all models. Intervals hold 95 % "
        "of a paired bootstrap over the samples; a difference whose interval holds 0 may be noise."
    )
    yield Section("accuracy", "Accuracy", items, words=(words,))


def _chart(evaluation: Evaluation, place: int, metric: Measure, names: list[str]) -> Item | None:
    """The scores by one metric; None where there is no finite one."""
    rows = []
    for number, (name, model) in enumerate(zip(names, evaluation.models, strict=True)):
        found = model.scores[place].value
        ends = [end for end in (found.low, found.high) if end is not None and math.isfinite(end)]
        low, high = ends if len(ends) > 1 else (None, None)
        words = f"{shown(found.value, metric)} {f'({interval(found, metric)})' if low is not None else ''}".rstrip()
        if math.isfinite(found.value) and not _of_itself(evaluation, metric, model):
            rows.append(Interval(name, found.value, low, high, words, colour(number)))
    if not rows:
        return None
    title = f"{metric.name}, with its interval; {'higher' if metric.higher_is_better else 'lower'} is better"
    said = "; ".join(f"{row.name} {row.words}" for row in rows)

    def spell(value: float) -> str:
        return shown(value, metric)

    return Item(chart=chart(f"score{place}", title, said, lambda room: charts.intervals(rows, spell, room)))


def _table(evaluation: Evaluation, names: list[str]) -> Table:
    titles = ("metric", "model", "score", "95 % interval", "difference", "its 95 % interval", "")
    rows = []
    for place, metric in enumerate(evaluation.metrics):
        for name, model in zip(names, evaluation.models, strict=True):
            if _of_itself(evaluation, metric, model):
                continue
            one = model.scores[place]
            cells = [metric.name, name, shown(one.value.value, metric), interval(one.value, metric)]
            gap = one.difference
            cells += (
                ["", "", ""]
                if gap is None
                else [shown(gap.value, metric, sign=True), interval(gap, metric, sign=True), verdict(gap, metric).plain]
            )
            rows.append(cells)
    return Table(columns(*titles, numbers=titles[2:6]), rows)


def _of_itself(evaluation: Evaluation, metric: Measure, model: Scored) -> bool:
    """Whether a metric that compares with a model says nothing of this one, as it is that one."""
    return metric.relative and model is evaluation.models[0] and evaluation.reference == model.model
