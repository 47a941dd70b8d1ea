"""A class that looks on: lines sent by checks, received, read, and shown as a board."""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import coursekit as ck
from coursekit import cli
from coursekit.checks.engine import class_line, reasons, session
from coursekit.checks.engine.class_line import Line, decode
from coursekit.checks.engine.tasks import load, numbers
from coursekit.checks.engine.verdict import Verdict
from coursekit.course.classroom import watch_lines
from coursekit.course.classroom.watch import Watch, watch
from coursekit.course.classroom.watch_board import board
from coursekit.course.classroom.watch_lines import Folder, Receiver
from coursekit.course.classroom.watch_page import Page, as_html, as_text, served
from coursekit.errors import ArgumentError, CourseError
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
SECRET = 0.7310585786
NOON = 1_800_000_000.0


@pytest.fixture(autouse=True)
def learner(monkeypatch, tmp_path):
    for name in ("COURSEKIT_GRADING", "COURSEKIT_HEADLESS", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("COURSEKIT_CLASS", raising=False)
    monkeypatch.delenv("COURSEKIT_PSEUDONYM", raising=False)
    monkeypatch.setenv("COURSEKIT_PROGRESS", str(tmp_path / "progress"))
    session._outcomes.clear()


@pytest.fixture
def folder(monkeypatch, tmp_path) -> Path:
    path = tmp_path / "반 class"
    path.mkdir()
    monkeypatch.setenv("COURSEKIT_CLASS", str(path))
    return path


def sent(folder: Path) -> list[dict]:
    assert class_line.flush(PATIENCE)
    return [json.loads(row) for path in folder.iterdir() for row in path.read_text().splitlines()]


def leaky(z, negative_slope):
    return np.where(z > 0, z, -negative_slope * z)


def line(who="ann", task="elu", outcome="wrong", at=0.0, reason="", exercise=3) -> Line:
    return Line(who, exercise, task, outcome, reason, NOON + 60 * at)


# What a check sends


def test_a_check_sends_five_facts_and_nothing_of_the_answer(folder, monkeypatch):
    monkeypatch.setattr(class_line.time, "time", lambda: NOON)
    ex = ck.exercise(3)
    ex.leaky_relu(leaky)
    ex.leaky_relu(lambda z, a: z * SECRET)
    ex.leaky_relu(lambda z, a: {}[SECRET])
    ex.leaky_relu(...)
    rows = sent(folder)
    assert [(row["outcome"], row["reason"][:6] == "crash-") for row in rows] == [
        ("wrong", False),
        ("wrong", False),
        ("crashed", True),
        ("not attempted", False),
    ]
    for row in rows:
        assert set(row) == {"who", "exercise", "task", "outcome", "reason", "time"}
        assert (row["exercise"], row["task"], row["time"]) == (3, "leaky_relu", NOON)
    text = "".join(path.read_text() for path in folder.iterdir())
    assert "73105" not in text
    assert "slope" not in text


def senders() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "coursekit-class"}


def test_nothing_is_sent_without_opting_in(tmp_path, monkeypatch):
    before = senders()
    verdict = ck.exercise(3).leaky_relu(leaky)
    assert verdict.notes == ()
    monkeypatch.setenv("COURSEKIT_CLASS", str(tmp_path))
    monkeypatch.setenv("COURSEKIT_HEADLESS", "1")
    ck.exercise(3).leaky_relu(leaky)
    assert not list(tmp_path.glob("*.jsonl"))
    assert senders() == before
    monkeypatch.delenv("COURSEKIT_HEADLESS")
    ck.exercise(3).leaky_relu(leaky)
    assert len(senders() - before) == 1


def test_the_learner_is_told_once_and_keeps_the_pseudonym(folder, monkeypatch):
    ex = ck.exercise(3)
    (note,) = ex.leaky_relu(leaky).notes
    assert ex.leaky_relu(leaky).notes == ()
    (who,) = {row["who"] for row in sent(folder)}
    assert f"as {who}; no code" in note
    assert class_line.pseudonym() == who
    monkeypatch.setenv("COURSEKIT_PSEUDONYM", " 김 하나/../x ")
    assert class_line.pseudonym() == "김-하나-x"
    assert decode(line(class_line.pseudonym()).encode()) is not None


def test_a_pseudonym_that_cannot_be_kept_counts_for_the_process(tmp_path, monkeypatch):
    (tmp_path / "progress").write_text("a file where the folder should be")
    assert class_line.pseudonym().count("-") == 2


def test_a_vanished_share_costs_one_note_and_what_was_not_sent_comes_later(folder):
    folder.rmdir()
    ex = ck.exercise(3)
    notes = []
    sender = class_line._sender(os.environ["COURSEKIT_CLASS"], os.getpid())
    for _ in range(4):
        notes += ex.leaky_relu(leaky).notes
        with sender._changed:
            assert sender._changed.wait_for(lambda: not sender._checks, PATIENCE)
    assert [note for note in notes if "cannot be reached" in note] == notes[1:]
    assert len(notes) == 2
    folder.mkdir()
    ex.leaky_relu(leaky)
    assert len(sent(folder)) == 5


def test_a_share_that_hangs_holds_no_check_up(folder, monkeypatch):
    released, real = threading.Event(), os.open

    def hanging(path, *args, **kwargs):
        if str(path).startswith(str(folder)):
            assert released.wait(PATIENCE)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(class_line.os, "open", hanging)
    for _ in range(3):
        ck.exercise(3).leaky_relu(leaky)  # returns although nothing can be written
    assert list(folder.iterdir()) == []
    released.set()
    assert len(sent(folder)) == 3


def test_a_disk_that_fills_up_tears_no_line(folder, monkeypatch, wait_until):
    real, state = os.write, {"calls": 0}

    def write(handle, data):
        if threading.current_thread().name != "coursekit-class":
            return real(handle, data)
        state["calls"] += 1
        if state["calls"] == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data[: len(data) // 2] if state["calls"] == 1 else data)

    monkeypatch.setattr(class_line.os, "write", write)
    ex = ck.exercise(3)
    ex.leaky_relu(leaky)
    wait_until(lambda: state["calls"] == 2)
    assert not class_line.flush(0)
    ex.leaky_relu(leaky)
    assert len(sent(folder)) == 2


WRITER = """
import sys
from coursekit.checks.engine import class_line
from coursekit.checks.engine.verdict import Verdict
for number in range(25):
    class_line.tell(3, Verdict(f"task_{number}", "", "correct"))
assert class_line.flush(300)
"""


def in_forty_processes(**variables) -> None:
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER],
            env={**environment, "COURSEKIT_PSEUDONYM": f"learner-{i % 35}"},
        )
        for i in range(40)  # five of them write under a name that another has
    ]
    assert [process.wait(PATIENCE) for process in started] == [0] * 40


@pytest.mark.slow
def test_forty_writers_at_once_lose_no_line(folder):
    in_forty_processes()
    lines = Folder(folder).read()
    assert len(lines) == 40 * 25
    assert len(list(folder.iterdir())) == 40


# Reasons


@pytest.mark.parametrize("exercise", numbers())
def test_the_name_of_each_named_mistake_leads_back_to_its_text(exercise):
    for task in load(exercise):
        for reason in task.mistakes:
            name = reasons.reason_id(exercise, Verdict(task.name, task.title, "wrong", reason))
            assert reasons.reason_text(exercise, task.name, name) == reason


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda z, a: z * SECRET, "at … = … you give"),
        (lambda z, a: [].append(z), "returns nothing. Did you forget `return`?"),
        (lambda z: z, "cannot be called with … argument"),
        (lambda z, a: z[..., :1], "your result has shape …; expected"),
        (lambda z, a: np.log(z - z), "is or holds infinity"),
        (SECRET, "Expected your function or class itself, got …"),
        (lambda z, a: 1 / 0, "It crashes with ZeroDivisionError."),
    ],
)
def test_a_reason_that_quotes_values_is_named_by_its_text_with_gaps(folder, answer, text):
    ck.exercise(3).leaky_relu(answer)
    (row,) = sent(folder)
    found = reasons.reason_text(3, "leaky_relu", row["reason"])
    assert text in found
    assert "73105" not in found


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("It ran for more than 60 seconds and was stopped. Does it end?", "crash-time"),
        ("ValueError: bad 7310", "crash-ValueError"),
        ("MySecretError: 7310", "crash-other"),
        ("print: 7310", "crash-other"),
        ("", "crash-other"),
    ],
)
def test_a_crash_is_named_by_pythons_own_types_only(reason, name):
    assert reasons.reason_id(3, Verdict("elu", "ELU", "crashed", reason)) == name


def test_a_reason_of_another_version_is_said_to_be_unknown():
    for exercise, task in ((3, "elu"), (3, "gone"), (77, "gone")):
        assert "does not know" in reasons.reason_text(exercise, task, "ffffffffff")
    assert reasons.reason_id(3, Verdict("elu", "ELU", "wrong", "꧁")) == ""


# Lines that come in


GOOD = line().encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{" * 300,
        GOOD.replace(b'"who"', b'"whose"'),
        GOOD.replace(b"ann", b"../ann"),
        GOOD.replace(b"ann", b"<b>"),
        GOOD.replace(b'"ann"', b"7"),
        GOOD.replace(b"ann", b""),
        GOOD.replace(b"wrong", b"splendid"),
        GOOD.replace(b": 3", b": true"),
        GOOD.replace(b": 3", b": 3.5"),
        GOOD.replace(b": 3", b": -3"),
        GOOD.replace(b"1800000000.0", b"NaN"),
        GOOD.replace(b"1800000000.0", b'"noon"'),
        GOOD.replace(b"{", b'{"answer": 1, '),
        GOOD.replace(b"ann", b"a" * 400),
    ],
)
def test_what_is_no_line_is_none(raw):
    assert decode(GOOD) == line()
    assert decode(raw) is None


def test_a_folder_is_read_on_and_a_half_written_line_waits(tmp_path):
    folder, file = Folder(tmp_path), tmp_path / "ann.jsonl"
    assert folder.read() == []
    file.write_bytes(GOOD + GOOD[:20])
    assert folder.read() == [line()]
    with file.open("ab") as more:
        more.write(GOOD[20:])
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / "bob.jsonl").write_bytes(b"nonsense\n" + line("bob").encode())
    assert sorted(one.who for one in folder.read()) == ["ann", "ann", "bob"]
    assert folder.strange == 1
    file.write_bytes(GOOD)
    assert sorted(one.who for one in folder.read()) == ["ann", "bob"]


def test_lines_of_another_day_are_left_out(tmp_path):
    (tmp_path / "ann.jsonl").write_bytes(line(at=-600).encode() + line(at=-300).encode())
    seen = Watch(tmp_path, hours=6, clock=lambda: NOON)
    seen.look()
    assert seen.board.learners[0].tries == 1


def test_a_folder_that_vanishes_keeps_the_last_board_with_a_note(tmp_path):
    folder = tmp_path / "class"
    folder.mkdir()
    (folder / "ann.jsonl").write_bytes(GOOD)
    seen = Watch(folder, clock=lambda: NOON)
    seen.look()
    (folder / "ann.jsonl").unlink()
    folder.rmdir()
    seen.look()
    assert len(seen.board.learners) == 1
    assert "cannot be read just now" in seen.note


# Over the network


@pytest.fixture
def receiver(tmp_path, monkeypatch):
    monkeypatch.setattr(class_line, "_PATIENCE", PATIENCE)  # a busy machine is no vanished class
    (tmp_path / "in").mkdir()
    with served(Receiver(tmp_path / "in", 0, "127.0.0.1")) as server:
        yield server


def post(server, body, **headers) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], PATIENCE)
    try:
        connection.request("POST", "/", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_checks_reach_an_address(receiver, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEKIT_CLASS", f"http://127.0.0.1:{receiver.server_address[1]}")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # the class is near: no proxy
    ck.exercise(3).leaky_relu(leaky)
    assert [row["task"] for row in sent(tmp_path / "in")] == ["leaky_relu"]


def test_forty_senders_at_once_lose_no_line(receiver, tmp_path):
    def send(who):
        for number in range(5):
            statuses.append(post(receiver, line(who, f"task_{number}").encode()))

    statuses = []
    threads = [threading.Thread(target=send, args=(f"learner-{i}",)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [204] * 200
    assert len({(one.who, one.task) for one in Folder(tmp_path / "in").read()}) == 200


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (GOOD + b"nonsense\n", {}, 400),
        (b"", {}, 400),
        (b"\n", {}, 400),
        (GOOD, {"Content-Length": "9999999999"}, 413),
        (GOOD, {"Content-Length": "-5"}, 411),
        (iter([GOOD]), {"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_bad_input_is_rejected_whole(receiver, tmp_path, body, headers, status):
    assert post(receiver, body, **headers) == status
    assert list((tmp_path / "in").iterdir()) == []
    assert post(receiver, GOOD) == 204, "and the next is taken"


def test_what_is_received_has_an_end(receiver, monkeypatch):
    monkeypatch.setattr(watch_lines, "_MOST_IN_ALL", 3 * len(GOOD) // 2)
    assert [post(receiver, GOOD), post(receiver, GOOD)] == [204, 507]


def test_nothing_is_given_away(receiver):
    post(receiver, GOOD)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{receiver.server_address[1]}/received.jsonl")
    with refused.value as answer:
        assert answer.code == 405
        assert b"ann" not in answer.read()


def test_lines_that_an_address_refuses_do_not_come_again(receiver, monkeypatch):
    monkeypatch.setenv("COURSEKIT_CLASS", f"http://127.0.0.1:{receiver.server_address[1]}")
    monkeypatch.setattr(watch_lines, "decode", lambda raw: None)
    verdict = Verdict("elu", "ELU", "correct")
    class_line.tell(3, verdict)
    assert class_line.flush(PATIENCE)


@pytest.mark.parametrize("address", ["ftp://class", "http://[class", "http://127.0.0.1:1/x y"])
def test_an_address_that_is_none_costs_one_note(address, monkeypatch):
    monkeypatch.setenv("COURSEKIT_CLASS", address)
    sender = class_line._sender(address, os.getpid())
    class_line.tell(3, Verdict("elu", "ELU", "correct"))
    with sender._changed:
        assert sender._changed.wait_for(lambda: not sender._checks, PATIENCE)
    assert len(class_line.tell(3, Verdict("elu", "ELU", "correct"))) == 1


# The board


def states(lines, at):
    return {one.who: (one.task, one.state) for one in board(lines, NOON + 60 * at).learners}


@pytest.mark.parametrize(
    ("lines", "at", "state"),
    [
        ([line(at=0)], 4.99, "open"),
        ([line(at=0)], 5, "stuck"),
        ([line(at=0), line(at=4)], 5, "stuck"),  # another try is no progress
        ([line(at=0), line(at=4, outcome="crashed")], 5, "stuck"),
        ([line(at=0), line(at=4, outcome="correct")], 60, "correct"),
        ([line(at=0), line(at=4, outcome="not attempted")], 5, "stuck"),
        ([line(at=0), line(at=3, task="selu", outcome="correct"), line(at=4)], 7, "open"),
        ([line(at=0), line(at=3, task="selu", outcome="correct"), line(at=4)], 8, "stuck"),
        (  # all cells run again: what was correct before is no progress
            [
                line(at=-9, task="selu", outcome="correct"),
                line(at=0),
                line(at=3, task="selu", outcome="correct"),
                line(at=3.01),
            ],
            5,
            "stuck",
        ),
        ([line(at=0), line(at=1, outcome="correct"), line(at=2)], 6.9, "open"),
        ([line(at=99)], 3, "open"),  # a clock that goes fast
    ],
)
def test_who_is_stuck(lines, at, state):
    assert states(lines, at) == states(lines[::-1], at), "the order of lines does not count"
    assert states(lines, at)["ann"] == ("03 elu", state)


def test_a_learner_who_has_tried_nothing_is_not_on_the_board():
    assert states([line(outcome="not attempted")], 1) == {}


def test_the_longest_stuck_come_first():
    lines = [
        line("ann", at=1),
        line("bob", at=0),
        line("cat", outcome="correct"),
        line("dan", at=9),
    ]
    assert [one.who for one in board(lines, NOON + 600).learners] == ["bob", "ann", "dan", "cat"]
    assert [one.minutes for one in board(lines, NOON + 600).stuck] == [10, 9]


def test_the_three_most_frequent_reasons_count_learners_not_tries():
    (first, second, third, fourth) = list(load(3)["elu"].mistakes)[:4]

    def miss(who, reason, outcome="wrong"):
        name = reasons.reason_id(3, Verdict("elu", "ELU", "wrong", reason))
        return [line(who, reason=name), line(who, outcome=outcome, at=1, reason=name)]

    lines = [
        *miss("ann", first) * 5,
        *miss("bob", second),
        *miss("cat", second),
        *miss("dan", third, outcome="correct"),
        *miss("eve", third, outcome="correct"),
        *miss("fay", fourth, outcome="correct"),
    ]
    found = [(one.text, one.now, one.ever) for one in board(lines, NOON + 99).reasons]
    assert found == [(second, 2, 2), (first, 1, 1), (third, 0, 2)]


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)

    def handle_data(self, data):
        self.text += data


def test_the_page_shows_the_board_and_runs_nothing():
    lines = [line("ann", at=-9), line("bob", outcome="correct", task="selu")]
    page = Tags(as_html(board(lines, NOON), note="<b>note</b>"))
    assert {"script", "b", "link", "img"}.isdisjoint(page.found)
    for word in ("ann", "03 elu", "stuck", "03 selu", "2 learners, 1 stuck", "<b>note</b>"):
        assert word in page.text


def test_the_terminal_leaves_out_those_who_are_fine_first(capsys):
    from rich.console import Console

    lines = [line(f"learner-{i}", at=i - 20.0) for i in range(20)]
    Console(width=100).print(as_text(board(lines, NOON), rows=6))
    shown = capsys.readouterr().out
    assert "20 learners, 16 stuck" in shown
    assert "and 14 more, on the page" in shown
    assert "learner-0 " in shown
    assert "learner-6" not in shown


def test_the_page_is_for_browsers_on_this_machine_only():
    with served(Page(0, lambda: "the board")) as page:
        assert page.server_address[0] == "127.0.0.1"
        with urllib.request.urlopen(page.address) as answer:
            assert answer.read() == b"the board"
        foreign = urllib.request.Request(page.address, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            urllib.request.urlopen(foreign)
        refused.value.close()


# The command


def test_the_command_prints_the_board(folder, capfd):
    ck.exercise(3).leaky_relu(leaky)
    assert class_line.flush(PATIENCE)
    assert cli.main(["class", "watch", str(folder), "--once"]) == 0
    shown = capfd.readouterr().out
    assert "1 learner, 0 stuck" in shown
    assert "The slope has the wrong sign below 0." in shown
    assert class_line.pseudonym() in shown


def test_a_folder_that_is_none_gets_one_sentence(tmp_path, capfd):
    assert cli.main(["class", "watch", str(tmp_path / "gone")]) == 2
    (said,) = capfd.readouterr().err.splitlines()
    assert "expected the folder that COURSEKIT_CLASS names" in said
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError):
        watch(tmp_path / "file")


def test_a_port_in_use_gets_one_sentence(tmp_path, receiver):
    taken = receiver.server_address[1]
    with pytest.raises(CourseError, match=f"port {taken} cannot be had .*--port"):
        watch(tmp_path, port=taken)


def test_it_watches_until_ctrl_c_and_receives_meanwhile(tmp_path, monkeypatch, capsys):
    folder, rounds = tmp_path / "made by it", []

    def pause():
        rounds.append(len(rounds))
        if len(rounds) == 1:
            (address,) = re.findall(r"http://127\S+", capsys.readouterr().out)
            rounds.append(address)
            monkeypatch.setenv("COURSEKIT_CLASS", f"http://127.0.0.1:{port}")
            class_line.tell(3, Verdict("elu", "ELU", "correct"))
            assert class_line.flush(PATIENCE)
            return
        with urllib.request.urlopen(rounds[1]) as answer:
            assert b"1 learner, 0 stuck" in answer.read()
        raise KeyboardInterrupt

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr("coursekit.course.classroom.watch._pause", pause)
    monkeypatch.setattr(class_line, "_PATIENCE", PATIENCE)
    watch(folder, serve=port)
    assert len(rounds) == 3
    assert "1 learner, 0 stuck" in capsys.readouterr().out, "the board stays to be read"
