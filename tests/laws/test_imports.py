"""Imports go one way: each room only knows the ones below it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "errors",
    "extras",
    "ir",
    "target",
    "analysis",
    "numerics",
    "data",
    "measure",
    "calibration",
    "rewrite",
    "pipeline",
    "budget",
    "report",
    "compile",
    "api",
    "recipe",
    "cache",
    "cli",
)
"""From the bottom to the top."""


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "graphopt"


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
    return {name for name in found if name.split(".")[0] in ("graphopt", "passes")}


def modules() -> list[Path]:
    return sorted((ROOT / "graphopt").rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_rooms_below(path):
    own = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if own == "__init__":
        pytest.skip("the public face names every room")
    assert own in ROOMS, f"{own} has no place in the order of rooms"
    for module in imports(path):
        assert module.split(".")[0] != "passes", f"{path} imports {module}: the compiler knows no particular pass"
        if module == "graphopt":
            assert own in ("cli", "pipeline"), f"{path} imports the public face"
            continue
        assert ROOMS.index(room(module)) <= ROOMS.index(own), f"{path} imports {module}, which is above it"


def test_only_the_ir_touches_graphsurgeon():
    users = [path for path in modules() if "onnx_graphsurgeon" in path.read_text("utf-8")]
    assert {path.relative_to(ROOT).parts[1] for path in users} == {"ir"}


def test_importing_the_package_imports_nothing_heavy():
    heavy = ("onnx", "onnxruntime", "numpy", "networkx", "typer")
    code = f"import sys, graphopt; print(*(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_public_face_is_what_it_says():
    import graphopt

    for name in graphopt.__all__:
        assert getattr(graphopt, name) is not None
    assert set(graphopt.__all__) <= set(dir(graphopt))


LIGHT = """
    distill distill.settings prune prune.kind prune.settings quant quant.mean_pool quant.options quant.prepare
    quant.schemes quant.silu quant.unfused_conv
"""


def test_the_passes_that_are_asked_for_cost_nothing_before():
    """What quant, prune and the like are made of is imported when they run."""
    code = "import sys, graphopt.compile, passes; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    own = {name for name in loaded if name.split(".")[:2] in [["passes", one] for one in ("quant", "prune", "distill")]}
    assert own <= {f"passes.{name}" for name in LIGHT.split()}
    assert not loaded & {"torch", "networkx", "onnxruntime", "scipy", "graphopt.calibration.ranges"}
