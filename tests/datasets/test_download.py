from __future__ import annotations

import errno
import gzip
import os
import pickle
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import coursekit as ck
from coursekit.datasets import cache, download, fetch, loading, registry
from coursekit.errors import ArgumentError, DataError

from .conftest import answer_in_full

IMAGES = "train-images-idx3-ubyte.gz"
LABELS = "train-labels-idx1-ubyte.gz"


def paths(server):
    return [path for path, _ in server.asked]


def send(handler, data, *, status=200, length=None, kind="application/gzip"):
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.wfile.write(data)


def assert_nothing_stored(fresh):
    assert not list(fresh.glob("mnist/**/*.npy"))


def test_a_mirror_serves_each_file_once(server, tiny, fresh, capsys):
    data = ck.load("mnist", n_valid=0)
    assert data.source == "official"
    np.testing.assert_array_equal(data.x_train * 255, tiny.arrays["x_train"])
    assert paths(server) == [f"/mnist/{name}" for name in tiny.files]
    assert capsys.readouterr() == ("mnist: 400 official images, verified.\n", "")
    assert not list((fresh / ".downloads" / "mnist").glob("*")), "no second copy stays"
    ck.load("mnist", source="official", n_valid=0)
    assert len(server.asked) == 4, "the second load touches no network"


def test_without_a_mirror_the_published_address_is_asked(server, tiny, monkeypatch):
    monkeypatch.delenv("COURSEKIT_MIRROR")
    for file in registry.DATASETS["mnist"].files:
        object.__setattr__(file, "url", f"{server.address}/published/{file.name}")
    assert fetch("mnist").source == "official"
    assert paths(server)[0] == f"/published/{IMAGES}"


@pytest.mark.parametrize("form", [gzip.decompress, lambda d: gzip.compress(gzip.decompress(d), 1)])
def test_a_repacked_mirror_of_the_same_bytes_is_official(server, form):
    server.files = {name: form(data) for name, data in server.files.items()}
    assert fetch("mnist").source == "official"


def test_a_server_that_unpacks_on_the_way_is_understood(server, tiny):
    def unpacking(handler, data):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    server.answers = dict.fromkeys(tiny.files, unpacking)
    assert fetch("mnist").source == "official"


def test_404_is_said_once_and_not_retried(server, fresh):
    del server.files[LABELS]
    with pytest.raises(DataError) as caught:
        fetch("mnist")
    assert str(caught.value) == (
        f"mnist cannot be fetched: {server.address}/mnist/{LABELS} answered 404 Not Found"
    )
    assert paths(server).count(f"/mnist/{LABELS}") == 1
    assert_nothing_stored(fresh)


def test_a_busy_server_is_asked_again(server):
    answers = iter([503, 429])

    def busy_twice(handler, data):
        status = next(answers, None)
        send(handler, b"", status=status) if status else answer_in_full(handler, data)

    server.answers[IMAGES] = busy_twice
    assert fetch("mnist").source == "official"
    assert paths(server).count(f"/mnist/{IMAGES}") == 3


def test_a_server_that_stays_busy_is_left(server):
    server.answers[IMAGES] = lambda handler, data: send(handler, b"", status=503)
    with pytest.raises(DataError, match="answered 503, again and again"):
        fetch("mnist")
    assert len(server.asked) == 1 + download.RETRIES


def test_wrong_bytes_are_thrown_away(server, fresh):
    server.files[LABELS] = gzip.compress(b"something else")
    with pytest.raises(DataError, match=f"{LABELS} from .* is not the published file: its SHA-256"):
        fetch("mnist")
    assert_nothing_stored(fresh)
    assert not list(fresh.rglob(f"{LABELS}*"))


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_in_place_of_the_file_is_recognised(server, kind):
    page = b"\n <!DOCTYPE html><html>please log in</html>"
    server.answers[IMAGES] = lambda handler, data: send(handler, page, kind=kind)
    with pytest.raises(DataError, match=r"sent a web page in place of train-images.*wants a login"):
        fetch("mnist")
    assert len(server.asked) == 1


def test_a_cut_connection_goes_on_where_it_stopped(server, monkeypatch):
    monkeypatch.setattr(download, "_CHUNK", 100)
    cuts = iter([1000, 2000])

    def cut(handler, data):
        start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        end = start + next(cuts, len(data))
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        handler.wfile.write(data[start:end])

    server.answers[IMAGES] = cut
    assert fetch("mnist").source == "official"
    ranges = [asked for path, asked in server.asked if path.endswith(IMAGES)]
    assert ranges == [None, "bytes=1000-", "bytes=3000-"]


def test_a_connection_that_is_always_cut_is_left(server, fresh, monkeypatch):
    monkeypatch.setattr(download, "_CHUNK", 10)

    def cut(handler, data):
        start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        handler.wfile.write(data[start : start + 20])

    server.answers[LABELS] = cut
    with pytest.raises(DataError, match=f"was cut or stalled while {LABELS} was coming; the next"):
        fetch("mnist")
    assert_nothing_stored(fresh)
    server.answers.clear()
    server.asked.clear()
    assert fetch("mnist").source == "official"
    assert server.asked[0] == (f"/mnist/{LABELS}", "bytes=60-"), "the images are not asked again"


def test_a_server_that_knows_no_ranges_starts_over(server, fresh):
    folder = fresh / ".downloads" / "mnist"
    folder.mkdir(parents=True)
    (folder / f"{IMAGES}.part").write_bytes(b"old beginning")
    server.answers[IMAGES] = lambda handler, data: send(handler, data, length=len(data))
    assert fetch("mnist").source == "official"
    assert server.asked[0][1] == "bytes=13-"


@pytest.mark.parametrize("beginning", [b"bytes of another file", bytes(300_000)])
def test_a_wrong_beginning_is_thrown_away_and_the_file_fetched_anew(server, fresh, beginning):
    folder = fresh / ".downloads" / "mnist"
    folder.mkdir(parents=True)
    (folder / f"{IMAGES}.part").write_bytes(beginning)

    def honest(handler, data):
        if len(beginning) > len(data) and handler.headers.get("Range"):
            send(handler, b"", status=416)
        else:
            answer_in_full(handler, data)

    server.answers[IMAGES] = honest
    assert fetch("mnist").source == "official"


def test_a_beginning_that_is_already_the_whole_file_is_not_asked_for(server, fresh):
    folder = fresh / ".downloads" / "mnist"
    folder.mkdir(parents=True)
    (folder / f"{IMAGES}.part").write_bytes(server.files[IMAGES])
    (folder / LABELS).write_bytes(server.files[LABELS])
    assert fetch("mnist").source == "official"
    assert paths(server) == ["/mnist/t10k-images-idx3-ubyte.gz", "/mnist/t10k-labels-idx1-ubyte.gz"]


def test_a_damaged_file_from_an_earlier_run_is_fetched_again(server, fresh):
    folder = fresh / ".downloads" / "mnist"
    folder.mkdir(parents=True)
    (folder / LABELS).write_bytes(server.files[LABELS][:-5])
    assert fetch("mnist").source == "official"
    assert f"/mnist/{LABELS}" in paths(server)


def test_more_bytes_than_the_file_can_hold_are_refused(server, fresh):
    server.answers[LABELS] = lambda handler, data: send(handler, b"\x1f\x8b" + bytes(1_000_000))
    with pytest.raises(DataError, match=f"sends more than {LABELS} can hold"):
        fetch("mnist")
    assert sum(path.stat().st_size for path in fresh.rglob(f"{LABELS}*")) < 10_000


def test_a_slow_but_steady_server_is_waited_for(server, monkeypatch):
    monkeypatch.setattr(download, "STALL_SECONDS", 4.0)  # in all it takes longer, no pause does

    def slow(handler, data):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        size = len(data) // 10 + 1
        for start in range(0, len(data), size):
            handler.wfile.write(data[start : start + size])
            server.wait(0.5)

    server.answers[LABELS] = slow
    assert fetch("mnist").source == "official"


def test_a_stalled_server_is_left(server, monkeypatch):
    monkeypatch.setattr(download, "STALL_SECONDS", 0.2)

    def stall(handler, data):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:50])
        handler.wfile.flush()
        server.wait(600)

    server.answers[IMAGES] = stall
    with pytest.raises(DataError, match="was cut or stalled"):
        fetch("mnist")


def test_a_server_that_never_answers_is_given_up_and_remembered(
    server, small, monkeypatch, capsys, wait_until
):
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.3)
    server.answers[IMAGES] = lambda handler, data: server.wait(600)
    assert ck.load("mnist", n_valid=500).source == "embedded"
    assert "STAND-IN DATA" in capsys.readouterr().out
    assert ck.load("mnist", n_valid=500).source == "embedded"
    wait_until(lambda: len(server.asked) >= 1)
    with pytest.raises(DataError, match="did not answer"):
        ck.load("mnist", source="official")
    wait_until(lambda: len(server.asked) >= 2)
    assert len(server.asked) == 2, "the host is asked again only if official data is insisted on"


def test_a_forgotten_failure_is_tried_again(server, monkeypatch, small):
    host = server.address.removeprefix("http://")
    download._gave_up[host] = (time.monotonic() - download.REMEMBER_SECONDS - 1, "long ago")
    assert ck.load("mnist", n_valid=0).source == "official"


def test_the_longest_wait_for_an_unreachable_host_is_under_ten_seconds():
    assert download.ANSWER_SECONDS < 10


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_refused_connection_is_a_sentence(server, monkeypatch):
    host = f"127.0.0.1:{closed_port()}"
    monkeypatch.setenv("COURSEKIT_MIRROR", f"http://{host}/")
    with pytest.raises(DataError) as caught:
        fetch("mnist")
    assert str(caught.value) == f"mnist cannot be fetched: {host} cannot be reached"


def test_a_name_that_does_not_resolve_in_time_is_given_up(server, monkeypatch):
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: server.wait(600) or [])
    with pytest.raises(DataError, match="did not answer within"):
        fetch("mnist")
    server.closing.set()


def test_an_unproven_certificate_is_refused(server, tmp_path, monkeypatch):
    certificate = tmp_path / "own.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 "
        "-addext subjectAltName=IP:127.0.0.1 -keyout own.pem -out cert.pem"
    )
    made = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False)
    if made.returncode:
        pytest.skip("openssl is needed to make a certificate")
    certificate.write_text(certificate.read_text() + (tmp_path / "cert.pem").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server._http.socket = context.wrap_socket(server._http.socket, server_side=True)
    server._http.handle_error = lambda *arguments: None
    host = server.address.removeprefix("http://")
    monkeypatch.setenv("COURSEKIT_MIRROR", f"https://{host}")
    with pytest.raises(DataError, match=r"could not prove who it is \(TLS certificate\)"):
        fetch("mnist")
    assert server.asked == []


def test_offline_never_asks(server, monkeypatch, small):
    monkeypatch.setenv("COURSEKIT_OFFLINE", "1")
    with pytest.raises(DataError, match="COURSEKIT_OFFLINE is set, so nothing is downloaded"):
        fetch("mnist")
    assert ck.load("mnist", n_valid=100).source == "embedded"
    assert server.asked == []


@pytest.mark.parametrize("off", ["", "0"])
def test_offline_0_or_empty_is_online(server, monkeypatch, off):
    monkeypatch.setenv("COURSEKIT_OFFLINE", off)
    assert fetch("mnist").source == "official"


def test_a_folder_serves_as_mirror(server, tiny, tmp_path, monkeypatch):
    tiny.write(tmp_path / "share" / "mnist")
    monkeypatch.setenv("COURSEKIT_MIRROR", str(tmp_path / "share"))
    assert fetch("mnist").source == "official"
    assert server.asked == []
    assert (tmp_path / "share" / "mnist" / IMAGES).exists()


def test_a_folder_mirror_with_other_bytes_is_refused(server, tiny, tmp_path, monkeypatch):
    content = bytearray(gzip.decompress(tiny.files[LABELS]))
    content[-1] = (content[-1] + 1) % 10
    tiny.files[LABELS] = gzip.compress(bytes(content))
    tiny.write(tmp_path / "share" / "mnist")
    monkeypatch.setenv("COURSEKIT_MIRROR", str(tmp_path / "share"))
    with pytest.raises(DataError, match="does not hold the official files of mnist"):
        fetch("mnist")


@pytest.mark.parametrize("mirror", ["ftp://host/x", "/no/such/folder", "mirror.example"])
def test_a_mirror_that_is_no_address_is_an_error_of_its_own(server, monkeypatch, mirror):
    monkeypatch.setenv("COURSEKIT_MIRROR", mirror)
    with pytest.raises(ArgumentError, match=f"COURSEKIT_MIRROR must be .* not '{mirror}'"):
        ck.load("mnist")


def test_an_unwritable_cache_keeps_a_download_in_memory(server, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path / "file" / "cache"))
    first = ck.load("mnist", n_valid=0)
    assert first.source == "official"
    assert "mnist is kept in memory only: the cache folder" in capsys.readouterr().out
    assert ck.load("mnist", n_valid=0).fingerprint == first.fingerprint
    assert len(server.asked) == 4
    with pytest.raises(DataError, match="cannot be written"):
        fetch("mnist")


def test_a_full_disk_while_downloading_is_a_sentence(server, monkeypatch):
    def full(self, response, url, have):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download._Resuming, "_save", full)
    with pytest.raises(DataError, match=r"cannot be stored in .* \(No space left on device\)"):
        fetch("mnist")


def test_nothing_is_written_to_stderr(server, capfd):
    answers = iter([503])
    server.answers[IMAGES] = lambda handler, data: (
        send(handler, b"", status=503) if next(answers, None) else answer_in_full(handler, data)
    )
    fetch("mnist")
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="needs kill -9")
def test_a_killed_download_goes_on_in_the_next_run(server, tiny, fresh, wait_until):
    half = len(tiny.files[IMAGES]) // 2

    def half_then_wait(handler, data):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:half])
        handler.wfile.flush()
        server.wait(600)

    server.answers[IMAGES] = half_then_wait
    script = "from coursekit.datasets import fetch; fetch('mnist')"
    process = subprocess.Popen([sys.executable, "-c", script])
    part = fresh / ".downloads" / "mnist" / f"{IMAGES}.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 1000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = part.stat().st_size
    assert 1000 < kept <= half
    assert cache.open_cached("mnist", "official") is None
    server.answers.clear()
    server.asked.clear()
    assert fetch("mnist").source == "official"
    assert server.asked[0] == (f"/mnist/{IMAGES}", f"bytes={kept}-")


def test_a_second_process_waits_and_then_uses_what_the_first_has_fetched(server, fresh):
    spec = registry.DATASETS["mnist"]
    script = (
        "import pickle, sys\n"
        "from coursekit.datasets import load, registry\n"
        "registry.DATASETS['mnist'] = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "print(load('mnist', n_valid=0).source)\n"
    )
    go_on = threading.Event()

    def hold(handler, data):
        go_on.wait(300)
        answer_in_full(handler, data)

    server.answers[IMAGES] = hold

    def start():
        command = [sys.executable, "-c", script, pickle.dumps(spec).hex()]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    first = start()
    while not server.asked and first.poll() is None:
        time.sleep(0.05)
    second = start()
    assert second.stdout.readline() == (
        "mnist: another process is downloading it; waiting for that.\n"
    )
    go_on.set()
    assert first.communicate() == ("mnist: 400 official images, verified.\nofficial\n", "")
    assert second.communicate() == ("official\n", "")
    assert len(server.asked) == 4, "each file was asked for once"
    assert not (fresh / ".downloads" / "mnist").exists()


def test_where_no_lock_can_be_had_the_set_is_fetched_all_the_same(server, monkeypatch, capsys):
    def refuse(path, **options):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(loading, "locked", refuse)
    assert ck.load("mnist", n_valid=0).source == "official"
    said, verified = capsys.readouterr().out.splitlines()
    assert "takes no file lock (No locks available), so mnist is downloaded to a temp" in said
    assert verified == "mnist: 400 official images, verified."


def test_a_failed_download_lets_the_next_one_in(server):
    del server.files[LABELS]
    for _ in range(2):
        with pytest.raises(DataError, match="answered 404"):
            fetch("mnist")
