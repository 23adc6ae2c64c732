from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from graphopt.numerics import process as process_module
from graphopt.numerics.contract import Close, Exact
from graphopt.numerics.failure import RunFailure
from graphopt.numerics.feeds import FeedPlan, InputSpec
from graphopt.numerics.process import PROGRAM
from graphopt.numerics.run import InProcess, Pair, check_pair
from graphopt.numerics.worker import Worker, best_runner
from tests.numerics.models import ENDLESS, RELU, model

F4 = np.dtype(np.float32)
NEG = "agraph (float[n] x) => (float[n] y) { y = Neg(x) }"
PLAN = FeedPlan((InputSpec("x", F4, (64,)),), 0)
X = {"x": np.float32([-1, 2])}
ENDLESS_FEEDS = {"n": np.array(10**12), "x": np.zeros((), np.float32)}
FAULTY = PROGRAM.replace(
    "sys.path[:] = json.loads(sys.argv[1]);", "sys.path[:] = json.loads(sys.argv[1]); import tests.numerics.faults;"
)


@pytest.fixture(scope="module")
def worker():
    with Worker() as shared:
        yield shared


@pytest.fixture
def faulty():
    with Worker(program=FAULTY) as alone:
        yield alone


def pid(worker):
    return worker._process._popen.pid


def gone(process):
    """Whether a process has ended, within a few seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def opened():
    return sum(1 for _ in Path("/dev/fd").iterdir())


# --- it does what running in this process does -------------------------------------------------------------------


def test_runs_are_bit_identical_to_those_in_this_process(worker):
    message = model("agraph (float[32,256] x) => (y) { t = Transpose(x) y = MatMul(x, t) }")
    plan = FeedPlan((InputSpec("x", F4, (32, 256)),), 0)
    assert worker.run(message, plan)[0].tobytes() == InProcess().run(message, plan)[0].tobytes()


@pytest.mark.parametrize(("after", "contract"), [(RELU, Exact()), (NEG, Close(8)), ("no model", Exact())])
def test_pairs_have_the_same_result(worker, after, contract):
    after = model(after) if after.startswith("agraph") else after.encode()
    here = check_pair(model(RELU), after, [PLAN, X], contract)
    there = worker.check_pair(model(RELU), after, [PLAN, X], contract)
    assert (there.comparisons, there.side, str(there.failure)) == (here.comparisons, here.side, str(here.failure))
    assert there.reason == here.reason


def test_what_a_model_gave_is_not_computed_again(worker, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(model(RELU))
    worker.expect(path, [PLAN], limit_s=30, ticket=7)
    path.unlink()
    assert worker.check_pair(path, model(NEG), [PLAN], Exact(), ticket=7).verdict == "wrong"
    assert worker.check_pair(path, model(RELU), [PLAN], Exact(), ticket=7).side == "before"


def test_what_a_lost_process_knew_is_computed_again(worker):
    worker.expect(model(RELU), [PLAN], limit_s=30, ticket=7)
    worker.close()
    assert worker.check_pair(model(RELU), model(RELU), [PLAN], Exact(), ticket=7).verdict == "ok"


def test_a_model_that_gives_nothing_is_told_when_it_is_compared(worker):
    worker.expect(b"no model", [PLAN], limit_s=30, ticket=7)
    result = worker.check_pair(b"no model", model(RELU), [PLAN], Exact(), ticket=7)
    assert (result.side, result.failure.kind) == ("before", "invalid")


@pytest.mark.parametrize("dtype", [np.float32, np.int64, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2])
@pytest.mark.parametrize("size", [0, 3, 100_000])
def test_arrays_of_any_size_go_and_come(worker, dtype, size):
    array = (np.arange(size) % 7).astype(dtype)
    code = {
        np.float32: "float",
        np.int64: "int64",
        ml_dtypes.bfloat16: "bfloat16",
        ml_dtypes.float8_e5m2: "float8e5m2",
    }[dtype]
    message = model(f"agraph ({code}[n] x) => ({code}[n] y) {{ y = Identity(x) }}")
    found = worker.run(message, {"x": array})[0]
    assert (found.dtype, found.tobytes()) == (array.dtype, array.tobytes())


def test_results_are_not_overwritten_by_the_next_request(worker):
    message = model("agraph (float[n] x) => (float[n] y) { y = Identity(x) }")
    found = [worker.run(message, {"x": np.full(50_000, i, np.float32)})[0] for i in range(4)]
    assert [set(array.tolist()) for array in found] == [{0.0}, {1.0}, {2.0}, {3.0}]


def test_large_models_arrive(worker):
    weights = np.arange(100_000, dtype=np.float32)
    import onnx

    message = onnx.ModelProto.FromString(model("agraph (float[n] x) => (float[n] y) { y = Add(x, w) }"))
    message.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    assert (worker.run(message.SerializeToString(), {"x": weights})[0] == 2 * weights).all()


def test_sequences_and_text_go_and_come(worker):
    message = model("agraph (seq(float[N]) s, float[n] x) => (seq(float[N]) t) { t = SequenceInsert(s, x) }")
    big = np.zeros(20_000, np.float32)
    assert [array.shape for array in worker.run(message, {"s": [big], "x": np.float32([1])})[0]] == [(20_000,), (1,)]
    text = model("agraph (string[n] x) => (string[n] y) { y = Identity(x) }")
    assert worker.run(text, {"x": np.array(["a", "ä"], object)})[0].tolist() == ["a", "ä"]


def test_relative_paths_are_those_of_this_process(worker, tmp_path, monkeypatch):
    (tmp_path / "model.onnx").write_bytes(model(RELU))
    worker.start()
    monkeypatch.chdir(tmp_path)
    assert worker.run("model.onnx", X)[0].tolist() == [0, 2]


def test_opsets_newer_than_the_runtime_are_tried(worker):
    message = model(RELU).replace(b"\x10\x15", b"\x10\x1b", 1)
    assert worker.run(message, X)[0].tolist() == [0, 2]


def test_requests_from_several_threads_take_turns(worker):
    message = model("agraph (float[n] x) => (float[n] y) { y = Neg(x) }")
    found: dict[int, float] = {}

    def ask(number):
        for _ in range(10):
            found[number] = worker.run(message, {"x": np.full(20_000, number, np.float32)})[0][0]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: -number for number in range(4)}


# --- life and death ---------------------------------------------------------------------------------------------


def test_starting_does_not_wait():
    with Worker() as fresh:
        begin = time.monotonic()
        fresh.start()
        fresh.start()
        assert time.monotonic() - begin < 1
        first = pid(fresh)
        assert fresh.run(model(RELU), X)[0].tolist() == [0, 2]
        assert pid(fresh) == first
    assert gone(first)


def test_a_closed_worker_starts_anew():
    with Worker() as fresh:
        fresh.run(model(RELU), X)
        first = pid(fresh)
        fresh.close()
        assert gone(first)
        assert fresh.run(model(RELU), X)[0].tolist() == [0, 2]
        assert pid(fresh) != first


def test_a_dropped_worker_leaves_no_process():
    fresh = Worker()
    fresh.run(model(RELU), X)
    process = pid(fresh)
    del fresh
    assert gone(process)


def test_a_worker_that_died_between_requests_is_replaced(faulty):
    faulty.run(model(RELU), X)
    os.kill(pid(faulty), signal.SIGKILL)
    time.sleep(0.1)
    assert faulty.run(model(RELU), X)[0].tolist() == [0, 2]


def test_a_crash_is_tried_again_and_reported(faulty):
    with pytest.raises(RunFailure, match=r"died \(SIGABRT\)") as caught:
        faulty.run(model(RELU), X | {"abort": np.array("Relu")})
    assert caught.value.kind == "crash"
    assert faulty.restarts == 2
    assert faulty.run(model(RELU), X)[0].tolist() == [0, 2]


def test_one_kill_is_survived_without_a_word(worker):
    process = threading.Timer(0.3, lambda: os.kill(pid(worker), signal.SIGKILL))
    process.start()
    before = worker.restarts
    result = worker.check_pair(model(ENDLESS), model(ENDLESS), [ENDLESS_FEEDS], Exact(), limit_s=0.7)
    assert result.failure.kind == "timeout"
    assert worker.restarts == before + 1


def test_the_last_words_of_the_process_are_the_reason(faulty):
    with pytest.raises(RunFailure, match="std::bad_alloc"):
        faulty.run(model(RELU), X | {"shout": np.array("Relu")})


def test_a_mistake_in_the_process_is_a_crash_not_a_result(faulty):
    result = faulty.check_pair(model(RELU), model(RELU), [X | {"fail": np.array("Relu")}], Exact())
    assert result.verdict == "unverified"
    assert result.reason.endswith("AttributeError: a mistake of ours")


@pytest.mark.parametrize(("where", "side", "verdict"), [("Relu", "before", "unverified"), ("Neg", "after", "wrong")])
def test_a_crash_is_blamed_on_the_model_that_was_running(faulty, where, side, verdict):
    result = faulty.check_pair(model(RELU), model(NEG), [X | {"abort": np.array(where)}], Exact())
    assert (result.side, result.verdict, result.failure.kind) == (side, verdict, "crash")


@pytest.mark.parametrize(("where", "side", "verdict"), [("Relu", "before", "unverified"), ("Neg", "after", "wrong")])
def test_a_hang_in_native_code_is_killed_and_blamed(faulty, monkeypatch, where, side, verdict):
    monkeypatch.setattr(process_module, "GRACE_S", 0.2)
    faulty.run(model(RELU), X)
    begin = time.monotonic()
    result = faulty.check_pair(model(RELU), model(NEG), [X | {"sleep": np.array(where)}], Exact(), limit_s=1)
    assert time.monotonic() - begin < 20
    assert (result.side, result.verdict, result.failure.kind) == (side, verdict, "timeout")
    assert faulty.restarts == 1
    assert faulty.run(model(RELU), X)[0].tolist() == [0, 2]


def pair(after, feeds=X, limit_s=30.0):
    return Pair(model(RELU), model(after), [feeds], Exact(), {}, limit_s)


def test_many_pairs_have_the_results_of_each(worker):
    results = worker.check_pairs([pair(RELU), pair(NEG), pair(RELU)])
    assert [result.verdict for result in results] == ["ok", "wrong", "ok"]


@pytest.mark.parametrize(("act", "kind"), [("abort", "crash"), ("sleep", "timeout")])
def test_a_fault_among_many_pairs_is_blamed_on_the_one(faulty, monkeypatch, act, kind):
    monkeypatch.setattr(process_module, "GRACE_S", 0.2)
    results = faulty.check_pairs([pair(RELU), pair(NEG, X | {act: np.array("Neg")}, limit_s=1), pair(NEG), pair(RELU)])
    assert [result.verdict for result in results] == ["ok", "wrong", "wrong", "ok"]
    assert [result.failure.kind if result.failure else "" for result in results] == ["", kind, "", ""]


def test_many_pairs_may_take_longer_than_the_limit_of_each(faulty):
    slow = [pair(RELU, X | {"nap": np.array("Relu")}, limit_s=2) for _ in range(5)]
    assert [result.verdict for result in faulty.check_pairs(slow)] == ["ok"] * 5
    assert faulty.restarts == 0


def test_an_endless_loop_is_stopped_without_losing_the_process(worker):
    worker.run(model(RELU), X)
    process, begin = pid(worker), time.monotonic()
    with pytest.raises(RunFailure, match="No result after 1 seconds"):
        worker.run(model(ENDLESS), ENDLESS_FEEDS, limit_s=1)
    assert 1 <= time.monotonic() - begin < 15
    assert pid(worker) == process


def test_an_interrupted_request_does_not_answer_the_next_one(worker):
    worker.run(model(RELU), X)
    main = threading.main_thread().ident
    threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        worker.run(model(ENDLESS), ENDLESS_FEEDS, limit_s=30)
    assert worker.run(model(RELU), X)[0].tolist() == [0, 2]


def test_ctrl_c_does_not_reach_the_process(worker):
    worker.run(model(RELU), X)
    process = pid(worker)
    os.kill(process, signal.SIGINT)
    assert worker.run(model(RELU), X)[0].tolist() == [0, 2]
    assert pid(worker) == process


def test_the_process_leaves_with_the_one_that_started_it():
    program = (
        "import sys, threading, time, os; import numpy as np\n"
        "from graphopt.numerics.worker import Worker; from tests.numerics.models import *\n"
        "worker = Worker(); worker.run(model(RELU), {'x': np.float32([1])})\n"
        "feeds = {'n': np.array(10**12), 'x': np.zeros((), np.float32)}\n"
        "threading.Thread(target=worker.run, args=(model(ENDLESS), feeds), daemon=True).start(); time.sleep(0.3)\n"
        "print(worker._process._popen.pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    assert gone(int(done.stdout)), done.stderr


def test_a_process_that_cannot_start_is_a_failure(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Worker() as stillborn:
        before = opened()
        stillborn.start()
        with pytest.raises(RunFailure, match="cannot be started"):
            stillborn.run(model(RELU), X)
        assert opened() == before


def test_a_full_disk_is_a_failure(worker, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(RunFailure, match="No space left on device") as caught:
        worker.run(model(RELU), {"x": np.zeros(100_000, np.float32)})
    assert caught.value.kind == "memory"
    assert worker.run(model(RELU), X)[0].tolist() == [0, 2]


def test_a_process_that_ends_at_once_is_a_failure():
    with Worker(program="raise ImportError('no runtime here')") as stillborn:
        result = stillborn.check_pair(model(RELU), model(RELU), [PLAN], Exact())
    assert result.verdict == "unverified"
    assert "ImportError: no runtime here" in result.reason


def test_memory_is_limited():
    greedy = model("agraph (int64[1] n) => (y) { z = ConstantOfShape(n) y = Neg(z) }")
    with Worker(memory=1 << 30) as modest:
        assert modest.run(greedy, {"n": np.array([1000])})[0].shape == (1000,)
        with pytest.raises(RunFailure) as caught:
            modest.run(greedy, {"n": np.array([1 << 30])})
        assert caught.value.kind in {"memory", "failed"}
        assert modest.run(model(RELU), X)[0].tolist() == [0, 2]


def test_no_descriptor_is_left_open():
    with Worker() as fresh:
        fresh.run(model(RELU), X)
        fresh.close()
        before = opened()
        for _ in range(3):
            fresh.run(model(RELU), X)
            fresh.close()
        assert opened() == before


def test_the_process_imports_what_this_one_would(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    with Worker() as fresh:
        assert fresh.run(model(RELU), X)[0].tolist() == [0, 2]


def test_the_process_imports_nothing_that_it_does_not_need():
    program = "import sys, graphopt.numerics.worker, onnxruntime; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "onnxruntime" in loaded
    assert not loaded & {"typer", "rich", "networkx", "onnx_graphsurgeon", "scipy", "torch"}


def test_the_best_runner_is_a_process_where_there_can_be_one():
    assert isinstance(best_runner(), Worker if os.name == "posix" else InProcess)
