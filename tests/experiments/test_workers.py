"""Worker processes: their threads, their deaths, and that they end with what started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import wait

import psutil
import pytest

from coursekit.base import machine
from coursekit.experiments import workers
from coursekit.experiments.tuning import parallel, search_in_parallel
from coursekit.experiments.workers import WorkerDiedError, Workers, result_of


def ends(pid):
    """Wait for the end of a process."""
    try:
        psutil.Process(pid).wait(120)
    except psutil.NoSuchProcess:
        return True
    return not psutil.pid_exists(pid)


def test_each_process_has_its_share_of_the_threads(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 6)
    with Workers(2) as crew:
        tasks = [crew.submit("", os.getenv, name) for name in machine.THREAD_VARIABLES[:2]]
        assert [result_of(task) for task in tasks] == ["3", "3"]


def test_a_process_is_kept_for_tasks_of_its_kind_only():
    with Workers(1) as crew:
        first, again, other = (result_of(crew.submit(kind, os.getpid)) for kind in "aab")
        assert first == again != other
        assert ends(first)
    assert ends(other)


def test_a_process_that_dies_takes_no_other_task_with_it():
    with Workers(2) as crew:
        other = crew.submit("", lambda: time.sleep(1) or "done")
        with pytest.raises(WorkerDiedError, match="Its worker process died in the midst of it"):
            result_of(crew.submit("", os._exit, 3))
        assert result_of(crew.submit("", abs, -1)) == 1
        assert result_of(other) == "done"


def test_a_process_that_dies_between_two_tasks_is_replaced():
    others = set(threading.enumerate())
    with Workers(1) as crew:
        pid = result_of(crew.submit("", os.getpid))
        os.kill(pid, signal.SIGTERM)
        for thread in set(threading.enumerate()) - others:  # until its death is noticed here
            if thread.name == "ExecutorManagerThread":
                thread.join(120)
        assert result_of(crew.submit("", os.getpid)) != pid


def test_what_a_task_raises_comes_out_and_the_process_goes_on():
    with Workers(1) as crew:
        before = result_of(crew.submit("", os.getpid))
        with pytest.raises(ValueError, match="invalid literal"):
            result_of(crew.submit("", int, "x"))
        assert result_of(crew.submit("", os.getpid)) == before


def test_what_is_at_work_ends_with_the_block():
    with Workers(1) as crew:
        pid = result_of(crew.submit("", os.getpid))
        task = crew.submit("", time.sleep, 600)
        assert not wait([task], 0.2).done
    assert ends(pid)


def test_a_search_whose_worker_dies_is_one_sentence(monkeypatch):
    monkeypatch.setattr(parallel, "_work", lambda *_: os._exit(3))
    with pytest.raises(WorkerDiedError, match="for want of memory perhaps"):
        search_in_parallel(lambda: None, 2, workers=1)


def test_processes_end_with_the_one_that_started_them_even_if_it_is_killed():
    code = """
        import os, time
        from coursekit.experiments.workers import Workers, result_of
        with Workers(1) as crew:
            print(result_of(crew.submit("", os.getpid)), flush=True)
            result_of(crew.submit("", time.sleep, 600))
    """
    script = [sys.executable, "-c", textwrap.dedent(code)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(script, **pipes) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    assert ends(worker)


def test_an_interrupt_from_the_keyboard_spares_the_workers():
    with Workers(1) as crew:
        pid = result_of(crew.submit("", os.getpid))
        os.kill(pid, signal.SIGINT)
        assert result_of(crew.submit("", os.getpid)) == pid


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal masks")
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another thread"])
def test_an_interrupt_while_a_worker_starts_comes_afterwards_and_spares_the_worker(beside):
    child, before, over = None, None, threading.Event()
    if beside:  # it takes the signal that this thread holds back
        threading.Thread(target=over.wait, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            with workers._interrupts_held_back():
                child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.05)  # time enough for the other thread to take it
                before = "held back"
            pytest.fail("the interrupt was lost")
        assert before == "held back"
        child.send_signal(signal.SIGINT)
        child.communicate(b"\n")
        assert child.returncode == 0
    finally:
        over.set()
        if child is not None:
            child.kill()
            child.stdin.close()
            child.wait()
