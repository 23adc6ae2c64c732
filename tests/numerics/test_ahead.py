"""Pairs compared while whoever asked goes on."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from graphopt.numerics import ahead as ahead_module
from graphopt.numerics.ahead import Ahead
from graphopt.numerics.contract import Exact
from graphopt.numerics.process import PROGRAM
from graphopt.numerics.run import PairResult
from graphopt.numerics.worker import Worker
from tests.numerics.models import ENDLESS, RELU, model

NEG = "agraph (float[n] x) => (float[n] y) { y = Neg(x) }"
X = {"x": np.float32([-1, 2])}
ENDLESS_FEEDS = {"n": np.array(10**12), "x": np.zeros((), np.float32)}


class Held:
    """A runner whose answers wait for a permission each message."""

    def __init__(self):
        self.permission, self.asked, self.closed = threading.Semaphore(0), [], False

    def check_pairs(self, pairs):
        assert {pair.limit_s for pair in pairs} == {1}
        self.permission.acquire()
        self.asked.append([pair.before for pair in pairs])
        return [PairResult() for _ in pairs]

    def close(self):
        self.closed = True


def test_the_verdicts_are_those_of_the_runner():
    ahead = Ahead(Worker())
    right = ahead.check_pair(model(RELU), model(RELU), [X], Exact(), limit_s=30)
    wrong = ahead.check_pair(model(RELU), model(NEG), [X], Exact(), limit_s=30)
    assert (right.result().verdict, wrong.result().verdict) == ("ok", "wrong")
    ahead.close()


def test_asking_does_not_wait_and_order_is_kept():
    held = Held()
    ahead = Ahead(held)
    coming = [ahead.check_pair(bytes([number]), b"", [], Exact(), limit_s=1) for number in range(3)]
    assert not any(future.done() for future in coming)
    held.permission.release(3)
    assert [future.result() for future in coming] == [PairResult()] * 3
    assert [before for message in held.asked for before in message] == [b"\0", b"\1", b"\2"]
    ahead.close()
    assert held.closed


def test_what_waits_goes_in_one_message():
    held = Held()
    ahead = Ahead(held)
    coming = [ahead.check_pair(bytes([number]), b"", [], Exact(), limit_s=1) for number in range(40)]
    held.permission.release(40)
    assert [future.result() for future in coming] == [PairResult()] * 40
    assert max(map(len, held.asked)) == ahead_module.BATCH
    ahead.close()


def test_a_runner_that_fails_is_heard_of_where_the_result_is_asked_for():
    class Broken(Held):
        def check_pairs(self, _pairs):
            raise OSError("no more memory")

    ahead = Ahead(Broken())
    with pytest.raises(OSError, match="no more memory"):
        ahead.check_pair(b"", b"", [], Exact(), limit_s=1).result()
    ahead.close()


def test_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(ahead_module, "CAPACITY", 10)
    held = Held()
    ahead = Ahead(held)
    first = ahead.check_pair(b"6bytes", b"6bytes", [], Exact(), limit_s=1)
    threading.Timer(0.2, held.permission.release).start()
    ahead.check_pair(b"more", b"", [], Exact(), limit_s=1)
    assert first.done()
    held.permission.release()
    ahead.close()


def test_closing_ends_what_is_running_and_forgets_what_waits():
    worker = Worker()
    ahead = Ahead(worker)
    worker.run(model(RELU), X)
    coming = [ahead.check_pair(model(ENDLESS), b"", [ENDLESS_FEEDS], Exact(), limit_s=600) for _ in range(3)]
    time.sleep(0.3)
    begin = time.monotonic()
    ahead.close()
    assert time.monotonic() - begin < 30
    assert coming[0].result().failure.kind == "crash"
    assert all(future.cancelled() or future.result().failure.kind == "crash" for future in coming[1:])
    assert worker._process is None


def test_others_get_their_turn_between_two_pairs():
    with Worker(program=PROGRAM) as worker:
        ahead, pair = Ahead(worker), (model(RELU), model(RELU), [X], Exact())
        coming = [ahead.check_pair(*pair, limit_s=30) for _ in range(300)]
        worker.run(model(RELU), X)
        assert not coming[-1].done()
        assert coming[-1].result().verdict == "ok"


@pytest.mark.parametrize("size", [1, 100])
def test_finished_pairs_are_not_held(size):
    ahead = Ahead(Worker())
    for _ in range(size):
        ahead.check_pair(model(RELU), model(RELU), [X], Exact(), limit_s=30).result()
    assert len(ahead._waiting) <= 1
    ahead.close()
