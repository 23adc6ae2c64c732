"""Quantised transformers, beside ONNX Runtime's own quantisers: `python -m tests.bench quantised_transformers`.

BERT-base and a sentence encoder of 6 layers, 384 wide, as PyTorch's older exporter spells them, at 128 tokens on one
thread: time of the processor, and the cosine of the first output with that of the float model. Then a decoder of 1.1
billion float32 weights in 4 bits: memory, speed of quantising, and tokens per second. Numbers are seeded, not trained.
"""

from __future__ import annotations

import json
import logging
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

import graphopt
from graphopt.ir.external import bytes_on_disk
from tests.bench import full_size, generate

TOKENS, ROUNDS, WARM = 128, 15, 3
NETWORKS: dict[str, dict[str, int]] = {
    "BERT-base": {"layers": 12, "width": 768, "heads": 12},
    "sentence encoder": {"layers": 6, "width": 384, "heads": 12},
}
DECODER = {"layers": 4}
"""Of the decoder with which tokens are made: 4 of 20 layers, as the peer holds all weights several times."""

PROGRAM = """
import json, resource, sys, time
import graphopt
started = time.perf_counter()
result = graphopt.optimize(sys.argv[1], passes="quant:scheme=int4")
result.model.save(sys.argv[2])
seconds = time.perf_counter() - started
usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
own = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
left = sum(node.op in ("MatMul", "Gemm") and any(not tensor.inputs and tensor.name for tensor in node.inputs[1:2])
           for node in result.model.graph.nodes)
print(json.dumps([seconds, sum(one.ru_utime + one.ru_stime for one in usage),
                  (own + usage[1].ru_maxrss) / 1024, left]))
"""


def main() -> None:
    """All tables."""
    for part in PARTS.values():
        part()


def encoders() -> None:
    """A table of each encoder."""
    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        for network, sizes in NETWORKS.items():
            encoder(Path(name), network, sizes)


def encoder(folder: Path, network: str, sizes: Mapping[str, int]) -> None:
    """A table of one network, float and quantised by all contenders."""
    source = folder / "float.onnx"
    source.write_bytes(full_size.bert_base(**sizes).SerializeToString())
    words = np.random.default_rng(0).integers(0, 30522, (1, TOKENS))
    feeds = {"input_ids": words, "attention_mask": np.ones_like(words), "token_type_ids": np.zeros_like(words)}
    made = {"float": source}
    for name, make in {**_peers(sizes), "graphopt": _ours}.items():
        made[name] = folder / f"{len(made)}.onnx"
        make(source, made[name])
    print(f"\n| {network} | ms | times as fast | cosine | MB |\n|---|---|---|---|---|")
    _table(made, feeds)


def _ours(source: Path, target: Path) -> None:
    graphopt.optimize(source, passes="quant:scheme=dynamic").model.save(target)


def _peers(sizes: Mapping[str, int]) -> dict[str, Callable[[Path, Path], None]]:
    """The runtime's quantiser on the file itself, and in several ways on what its transformers tool makes of it."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.optimizer import optimize_model

    def fused(source: Path, target: Path, **options: Any) -> None:
        model = optimize_model(str(source), "bert", num_heads=sizes["heads"], hidden_size=sizes["width"], opt_level=0)
        between = target.with_suffix(".fused.onnx")
        model.save_model_to_file(str(between))
        quantize_dynamic(between, target, extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT}, **options)

    def plain(source: Path, target: Path) -> None:
        quantize_dynamic(source, target, weight_type=QuantType.QInt8)

    def way(**options: Any) -> Callable[[Path, Path], None]:
        return lambda source, target: fused(source, target, **options)

    return {
        "quantize_dynamic": plain,
        "transformers tool, then quantize_dynamic, S8": way(weight_type=QuantType.QInt8),
        "the same, U8": way(weight_type=QuantType.QUInt8),
        "the same, S8 for each column": way(weight_type=QuantType.QInt8, per_channel=True),
    }


def _table(made: Mapping[str, Path], feeds: Mapping[str, np.ndarray]) -> None:
    """Print what becomes of each model; runs alternate, and the time is the processor's, of this thread alone."""
    sessions = {name: _session(path) for name, path in made.items()}
    outputs = {name: session.run(None, dict(feeds))[0] for name, session in sessions.items()}
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(WARM + ROUNDS):
        for name, session in sessions.items():
            began = time.thread_time()
            session.run(None, dict(feeds))
            seconds[name].append(time.thread_time() - began)
    medians = {name: statistics.median(times[WARM:]) for name, times in seconds.items()}
    first = next(iter(made))
    for name, path in made.items():
        size = (bytes_on_disk(graphopt.load(path)) or 0) / 1e6
        ratio, cosine = medians[first] / medians[name], _cosine(outputs[first], outputs[name])
        print(f"| {name} | {medians[name] * 1e3:.1f} | {ratio:.2f} | {cosine:.6f} | {size:.0f} |", flush=True)


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    a, b = (array.reshape(-1).astype(np.float64) for array in (one, other))
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def decoder() -> None:
    """The decoder: how it is quantised, and how fast it is then."""
    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        weights(Path(name))
        tokens(Path(name))


def weights(folder: Path) -> None:
    """What it takes to quantise all of it."""
    source = generate.decoder(folder)
    gigabytes = source.with_suffix(".data").stat().st_size / 1e9
    command = [sys.executable, "-c", PROGRAM, str(source), str(folder / "small.onnx")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, processor, peak, left = json.loads(done.stdout)
    print("\n| decoder in 4 bits | |\n|---|---|")
    print(f"| float weights | {gigabytes:.2f} GB |")
    print(f"| MB of float weights in a second | {gigabytes * 1e3 / seconds:.0f} |")
    print(f"| and in a second of processor time | {gigabytes * 1e3 / processor:.0f} |")
    print(f"| peak memory of all processes, MB | {peak:.0f} |")
    print(f"| products with float weights left | {left} |", flush=True)


def tokens(folder: Path) -> None:
    """Time for a token, beside the runtime's own quantiser of such weights."""
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    source = generate.decoder(folder, **DECODER)
    made = {"float": source}
    for block in (32, 128):
        made[f"graphopt, blocks of {block}"] = folder / f"ours{block}.onnx"
        result = graphopt.optimize(source, passes=f"quant:scheme=int4:block={block}", verify="structure")
        result.model.save(made[f"graphopt, blocks of {block}"])
        for symmetric in (True, False):
            name = f"MatMulNBitsQuantizer, blocks of {block}, {'symmetric' if symmetric else 'with zeros'}"
            made[name] = folder / f"theirs{block}{symmetric}.onnx"
            config = DefaultWeightOnlyQuantConfig(block_size=block, is_symmetric=symmetric, accuracy_level=4, bits=4)
            quantiser = MatMulNBitsQuantizer(onnx.load(source), algo_config=config)
            quantiser.process()
            quantiser.model.save_model_to_file(str(made[name]), use_external_data_format=True)
    print("\n| decoder, a token at a time | ms | times as fast | cosine | MB |\n|---|---|---|---|---|")
    _table(made, {"ids": np.array([[17]])})


PARTS = {"encoders": encoders, "decoder": decoder}
