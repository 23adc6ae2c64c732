"""Whatever happens while a model is written, its file is the old one or the new one, and nothing else is left."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
from onnx import numpy_helper

from graphopt.errors import ModelError, OutputError
from graphopt.ir import atomic, writer
from graphopt.ir.reader import load
from graphopt.ir.writer import save
from tests.ir.test_roundtrip import WEIGHTS, parse

SIZE = 100_000


def model(value, size=SIZE):
    proto = parse(WEIGHTS)
    for name in ("p", "q"):
        proto.graph.initializer.append(numpy_helper.from_array(np.full(size, value, np.float32), name))
    return load(proto.SerializeToString())


def value_of(path):
    """The one number that all weights of the file have."""
    held = {float(x) for constant in load(path).graph.initializers[2:] for x in np.unique(constant.values)}
    (value,) = held
    return value


def names(folder):
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def contents(folder):
    """All files of a folder."""
    return {name: (folder / name).read_bytes() for name in names(folder)}


def failing(function, times):
    """`function`, interrupted before it does anything the n-th time that it is called."""
    calls = itertools.count(1)

    def call(*arguments):
        if next(calls) in times:
            raise Interrupted
        return function(*arguments)

    return call


@pytest.fixture(params=[False, True], ids=["inline", "external"])
def external(request):
    return request.param


class Interrupted(BaseException):
    pass


class TestFailures:
    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), Interrupted()])
    @pytest.mark.parametrize(
        "step", [(atomic.Pending, "write"), (atomic.Pending, "finish"), (atomic.Folder, "rename")], ids=str
    )
    def test_in_every_step(self, tmp_path, monkeypatch, external, step, error):
        path = tmp_path / "m.onnx"
        save(model(1), path, external_data=external)
        before = contents(tmp_path)

        def fail(*_):
            raise error

        monkeypatch.setattr(*step, fail)
        with pytest.raises(OutputError if isinstance(error, OSError) else type(error)):
            save(model(2), path, external_data=external)
        assert contents(tmp_path) == before

    @pytest.mark.parametrize("step", [1, 2, 3])
    def test_an_interrupt_between_the_renames(self, tmp_path, monkeypatch, step):
        path = tmp_path / "m.onnx"
        save(model(1), path, external_data=True)
        monkeypatch.setattr(atomic.Folder, "rename", failing(atomic.Folder.rename, {step}))
        with pytest.raises(Interrupted):
            save(model(2), path, external_data=True)
        assert value_of(path) == (1 if step == 1 else 2)
        assert sorted(contents(tmp_path)) == ["m.onnx", "m.onnx.data"]

    @pytest.mark.parametrize("step", [1, 2, 3])
    def test_renames_that_stop_working(self, tmp_path, monkeypatch, step):
        path = tmp_path / "m.onnx"
        save(model(1), path, external_data=True)
        monkeypatch.setattr(atomic.Folder, "rename", failing(atomic.Folder.rename, set(range(step, 9))))
        with pytest.raises(Interrupted):
            save(model(2), path, external_data=True)
        assert value_of(path) == (1 if step == 1 else 2)

    @pytest.mark.parametrize("step", [1, 2, 3])
    def test_a_folder_that_is_renamed_between_the_renames(self, tmp_path, monkeypatch, step):
        folder, elsewhere, renames = tmp_path / "out", tmp_path / "elsewhere", itertools.count(1)
        folder.mkdir()
        save(model(1), folder / "m.onnx", external_data=True)
        rename = atomic.Folder.rename

        def moving(self, name, other):
            if next(renames) == step:
                folder.rename(elsewhere)
            rename(self, name, other)

        monkeypatch.setattr(atomic.Folder, "rename", moving)
        save(model(2), folder / "m.onnx", external_data=True)
        assert value_of(elsewhere / "m.onnx") == 2
        assert names(elsewhere) == ["m.onnx", "m.onnx.data"]
        assert all((elsewhere / name).stat().st_nlink == 1 for name in names(elsewhere))

    @pytest.mark.parametrize("lost", [0, 1, 2])
    def test_a_temporary_file_that_is_removed_meanwhile(self, tmp_path, monkeypatch, lost):
        path, publish = tmp_path / "m.onnx", writer._publish

        def robbed(*outs):
            outs[lost].folder.remove(outs[lost].name)
            publish(*outs)

        save(model(1), path, external_data=True)
        monkeypatch.setattr(writer, "_publish", robbed)
        with pytest.raises(OutputError, match="another program removed what was to become it"):
            save(model(2), path, external_data=True)
        assert value_of(path) == 1
        assert names(tmp_path) == ["m.onnx", "m.onnx.data"]

    def test_without_hard_links(self, tmp_path, monkeypatch):
        def refuse(*_, **_options):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        for value in (1, 2):
            save(model(value), tmp_path / "m.onnx", external_data=True)
            assert value_of(tmp_path / "m.onnx") == value
        assert names(tmp_path) == ["m.onnx", "m.onnx.data"]

    @pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOSYS, errno.EIO])
    def test_folders_that_cannot_be_synchronised(self, tmp_path, monkeypatch, external, error):
        """Some file systems do not offer it; a broken disk is another matter."""
        sync = os.fsync

        def refuse(descriptor):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(error, os.strerror(error))
            sync(descriptor)

        path = tmp_path / "m.onnx"
        monkeypatch.setattr(os, "fsync", refuse)
        with contextlib.nullcontext() if error != errno.EIO else pytest.raises(OutputError, match="cannot be written"):
            save(model(1), path, external_data=external)
        assert value_of(path) == 1

    def test_a_disk_without_room(self, tmp_path, external):
        """A limit on the size of files stands for the full disk."""
        path = tmp_path / "m.onnx"
        save(model(1), path, external_data=external)
        code = f"""
import resource
from tests.ir.test_atomic import model, save
from graphopt.errors import OutputError
new = model(2)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save(new, {str(path)!r}, external_data={external})
except OutputError as error:
    print(error)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == f"{path} cannot be written: File too large\n"
        assert value_of(path) == 1
        assert len(names(tmp_path)) == 1 + external

    def test_places_that_cannot_be_written(self, tmp_path, external):
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")
        for place, message in (
            (tmp_path / "folder", "is a folder"),
            (tmp_path / "pipe", "is not a regular file"),
            (tmp_path / "nowhere" / "m.onnx", "cannot be written: No such file or directory"),
            (tmp_path / "pipe" / "m.onnx", "cannot be written: Not a directory"),
            (tmp_path / ("x" * 300), "cannot be written: File name too long"),
        ):
            with pytest.raises(OutputError, match=message):
                save(model(1), place, external_data=external)
        assert names(tmp_path) == ["folder", "pipe"]

    @pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
    def test_a_read_only_folder(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(OutputError, match="cannot be written: Permission denied"):
            save(model(1), tmp_path / "m.onnx")
        tmp_path.chmod(0o700)


class TestTarget:
    def test_permissions_stay(self, tmp_path):
        path = tmp_path / "m.onnx"
        save(model(1), path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~os.umask(os.umask(0o022))
        path.chmod(0o640)
        save(model(2), path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    @pytest.mark.parametrize("letter", ["x", "ж", "模", "😀"])
    def test_its_name_may_be_as_long_as_the_system_allows(self, tmp_path, external, letter):
        path = tmp_path / (letter * (244 // len(letter.encode())) + ".onnx")
        save(model(1), path, external_data=external)
        assert value_of(path) == 1

    def test_a_link_is_written_through(self, tmp_path):
        (tmp_path / "real").mkdir()
        path = tmp_path / "link.onnx"
        path.symlink_to(tmp_path / "real" / "m.onnx")
        save(model(1), path)
        assert path.is_symlink()
        assert value_of(tmp_path / "real" / "m.onnx") == 1

    def test_over_the_file_that_it_is_read_from(self, tmp_path):
        path = tmp_path / "m.onnx"
        save(model(1), path)
        read = load(path)
        before = read.graph.initializers[-1].values
        read.graph.initializers[-2].values = np.zeros(3, np.float32)
        save(read, path)
        assert (before == 1).all()
        assert (load(path).graph.initializers[-1].values == 1).all()
        assert names(tmp_path) == ["m.onnx"]


class TestChangedSource:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "m.onnx"
        save(model(1), path)
        return path

    def test_cut(self, path, tmp_path):
        read = load(path)
        os.truncate(path, 1000)
        with pytest.raises(ModelError, match="was changed by another program"):
            _ = read.graph.initializers[-1].values
        with pytest.raises(ModelError, match="was changed by another program"):
            save(read, tmp_path / "out.onnx")
        assert names(tmp_path) == ["m.onnx"]

    def test_overwritten(self, path, tmp_path):
        read = load(path)
        os.utime(path, ns=(1, 1))
        with pytest.raises(ModelError, match="was changed by another program"):
            save(read, tmp_path / "out.onnx")


WRITE = """
import signal, sys
from tests.ir.test_atomic import model, save
signal.signal(signal.SIGINT, signal.default_int_handler)  # which jobs in the background of a shell do without
models = [model(float(value), 500_000) for value in sys.argv[3:]]
print("ready", flush=True)
while True:
    for each in models:
        save(each, sys.argv[1], external_data=sys.argv[2] == "True")
"""


@contextlib.contextmanager
def writing(path, external, *values):
    """A process that writes models with these weights in turn, until it is killed."""
    arguments = [sys.executable, "-c", WRITE, str(path), str(external), *map(str, values)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def test_killed_at_random_moments(tmp_path, external):
    path = tmp_path / "m.onnx"
    save(model(0, 500_000), path, external_data=external)
    rng = np.random.default_rng(0)
    for _ in range(3):
        with writing(path, external, 1, 2):
            time.sleep(rng.uniform(0, 0.1))
        assert value_of(path) in (0, 1, 2)


def test_interrupted(tmp_path, external):
    path = tmp_path / "m.onnx"
    with writing(path, external, 1, 2) as process:
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.wait()
    assert process.returncode == -signal.SIGINT
    assert not [name for name in names(tmp_path) if name.endswith((".tmp", ".twin"))]


def test_two_writers(tmp_path, external):
    path = tmp_path / "m.onnx"
    with writing(path, external, 1), writing(path, external, 2):
        time.sleep(0.5)
    assert value_of(path) in (1, 2)


def test_kernels_that_cannot_copy(tmp_path, monkeypatch):
    save(model(1), tmp_path / "m.onnx")
    read = load(tmp_path / "m.onnx")

    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    save(read, tmp_path / "a.onnx")
    monkeypatch.setattr(os, "copy_file_range", refuse)
    save(read, tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_message_larger_than_its_limit_is_refused(monkeypatch):
    monkeypatch.setattr(writer.weights, "LIMIT", 10)
    with pytest.raises(OutputError, match="even without its weights"):
        writer._serialised(parse(WEIGHTS))
