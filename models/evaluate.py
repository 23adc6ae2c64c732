"""Print the top-1 accuracy of classifiers on labelled data: `python models/evaluate.py [MODEL...]`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnxruntime as ort

HERE = Path(__file__).parent


def top1(model: Path, data: Path) -> float:
    """Return the share of `data` whose `label` (n,) is where the first output (n, classes) is largest.

    The inputs are the arrays of `data`, an .npz file, that bear the names of the model's inputs.
    """
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    with np.load(data) as arrays:
        feeds = {value.name: arrays[value.name] for value in session.get_inputs()}
        label = arrays["label"]
    logits = session.run(None, feeds)[0]
    return float((np.argmax(logits, axis=1) == label).mean())


def main() -> None:
    """Evaluate each model named on the command line, by default the ones in this folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, default=sorted(HERE.glob("*.onnx")))
    parser.add_argument("--data", type=Path, default=HERE / "digits.test.npz", help="default: %(default)s")
    arguments = parser.parse_args()
    for model in arguments.models:
        print(f"{model.name}: top-1 {top1(model, arguments.data):.2%} of {arguments.data.name}")


if __name__ == "__main__":
    main()
