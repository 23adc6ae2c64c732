"""Every node case of the onnx package comes through the default pipeline: right, or not run by the runtime at all."""

from __future__ import annotations

import functools

import pytest

from tests.conformance.cases import VARIANTS, Case, collect, frozen, judge, shard

SHARDS = 8


@functools.cache
def cases() -> list[Case]:
    return collect()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("index", range(SHARDS))
def test_default_pipeline_keeps_every_case_right(variant, index):
    outcomes = [judge(frozen(case, variant)) for case in shard(cases(), index, SHARDS)]
    failed = [outcome for outcome in outcomes if outcome.verdict not in ("right", "skipped")]
    assert not failed, "\n".join(f"{o.name}: {o.verdict}: {o.detail}" for o in failed)
    assert sum(outcome.verdict == "right" for outcome in outcomes) > len(outcomes) // 2
