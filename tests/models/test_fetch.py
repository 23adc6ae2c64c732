"""models/fetch.py, with addresses on this machine."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models import fetch

CONTENT = bytes(range(256)) * 5
SUM = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT at /right, something else elsewhere, and counts the requests."""

    def do_GET(self):
        self.server.asked.append(self.path)
        bodies = {"/right": CONTENT, "/wrong": CONTENT[::-1], "/short": CONTENT[:9], "/long": CONTENT * 2}
        if self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:9])
        elif self.path in bodies:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(bodies[self.path])
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def run(tmp_path):
    """Run fetch.py on a zoo of the models given as name=[address, ...]; returns (exit code, folder)."""

    def run(*argv, **models):
        zoo = tmp_path / "zoo.toml"
        zoo.write_text(
            "".join(
                f'[[model]]\nname = "{name}"\ntask = "test"\nlicence = "MIT"\n'
                f'size = {len(CONTENT)}\nsha256 = "{SUM}"\nurls = {urls}\n'
                for name, urls in models.items()
            )
        )
        folder = tmp_path / "zoo"
        return fetch.main(list(argv), zoo, folder), folder

    return run


def test_fetches_over_http_and_leaves_nothing_else(run, server, capsys):
    code, folder = run(tiny=[f"{server.url}/right"])
    assert code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"tiny.onnx": CONTENT}
    assert capsys.readouterr().out == "tiny: fetched, 0.0 MB\n"


def test_fetches_from_a_file_address(run, tmp_path):
    source = tmp_path / "source.onnx"
    source.write_bytes(CONTENT)
    code, folder = run(tiny=[source.as_uri()])
    assert code == 0
    assert (folder / "tiny.onnx").read_bytes() == CONTENT


def test_skips_what_is_already_right(run, server, capsys):
    run(tiny=[f"{server.url}/right"])
    code, _ = run(tiny=[f"{server.url}/right"])
    assert code == 0
    assert server.asked == ["/right"]
    assert capsys.readouterr().out.endswith("tiny: already there\n")


@pytest.mark.parametrize("damaged", [CONTENT[::-1], CONTENT[:9], b""])
def test_replaces_what_is_not_right(run, server, tmp_path, damaged):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "tiny.onnx").write_bytes(damaged)
    code, folder = run(tiny=[f"{server.url}/right"])
    assert code == 0
    assert (folder / "tiny.onnx").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ("/wrong", "sha256 is"),
        ("/short", "9 bytes instead of 1280"),
        ("/long", "2560 bytes instead of 1280"),
        ("/cut", ""),  # in which words depends on Python's version
        ("/absent", "HTTP Error 404"),
    ],
)
def test_says_why_and_leaves_nothing(run, server, capsys, page, why):
    code, folder = run(tiny=[server.url + page])
    out, err = capsys.readouterr()
    assert code == 1
    assert list(folder.iterdir()) == []
    assert out.startswith(f"tiny: not fetched: {why}")
    assert out.count("\n") == 1
    assert err == "1 of 1 models could not be fetched\n"


def test_tries_the_next_address(run, server):
    code, folder = run(tiny=[f"{server.url}/absent", f"{server.url}/wrong", f"{server.url}/right"])
    assert code == 0
    assert server.asked == ["/absent", "/wrong", "/right"]
    assert (folder / "tiny.onnx").read_bytes() == CONTENT


def test_an_unreachable_server_does_not_stop_the_others(run, server, capsys):
    code, folder = run(far=["http://127.0.0.1:1/model.onnx"], tiny=[f"{server.url}/right"])
    assert code == 1
    assert [path.name for path in folder.iterdir()] == ["tiny.onnx"]
    out, err = capsys.readouterr()
    assert out.startswith("far: not fetched: ")
    assert "refused (http://127.0.0.1:1/model.onnx)\n" in out
    assert err == "1 of 2 models could not be fetched\n"


def test_fetches_only_the_models_named(run, server):
    code, folder = run("second", first=[f"{server.url}/right"], second=[f"{server.url}/right"])
    assert code == 0
    assert [path.name for path in folder.iterdir()] == ["second.onnx"]


def test_an_unknown_name_is_a_usage_error(run, server, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("tiny", "tinny", tiny=[f"{server.url}/right"])
    assert "no such model: tinny" in capsys.readouterr().err
    assert server.asked == []


def test_list_fetches_nothing(run, server, capsys):
    code, folder = run("--list", tiny=[f"{server.url}/right"])
    assert code == 0
    assert capsys.readouterr().out.split() == ["tiny", "0.0", "MB", "MIT", "test"]
    assert server.asked == []
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_is_said_plainly(run, tmp_path, capsys):
    (tmp_path / "zoo").write_text("a file stands in the way")
    code, _ = run(tiny=["http://127.0.0.1:1/model.onnx"])
    assert code == 1
    assert capsys.readouterr().err.startswith(f"cannot write to {tmp_path / 'zoo'}: ")


def test_the_zoo_is_well_formed():
    entries = fetch.read_zoo(Path(fetch.__file__).with_name("zoo.toml"))
    assert len(entries) >= 10
    assert len({entry.name for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.size > 0
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.licence in {"Apache-2.0", "BSD-3-Clause", "MIT"}
        assert entry.urls
        assert all(url.startswith("https://") for url in entry.urls)
