"""The study's loop and memory: resuming, damage, dying workers, full disks, interrupts."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

from coursekit.base import files as files_module
from coursekit.base import machine
from coursekit.base.files import locked
from coursekit.errors import ArgumentError
from coursekit.experiments import study
from coursekit.experiments.study import runner
from coursekit.experiments.study.records import read_record, write_record

SCRIPT = """
import sys
import toy_study
from coursekit.experiments.study import commands, runner
if __name__ == "__main__":
    runner.real_trainer = lambda: toy_study.TRAINER
    from coursekit.errors import CourseError
    try:
        commands.app(sys.argv[1:])
    except CourseError as error:
        sys.exit(f"error: {error}")
"""


@pytest.fixture
def processes(toy, out):
    """Run a study whose trainings are done in worker processes."""

    def run(**changes):
        settings = {"profile": "quick", "seeds": 2, "out": out, "trainer": toy.TRAINER}
        return study.run(**{**settings, "variants": "baseline,selu", **changes})

    return run


@pytest.fixture
def run(processes, toy, monkeypatch):
    """Run a study whose trainings are done in this process, which is faster."""
    monkeypatch.setattr(runner, "LocalCrew", toy.CrewOfThisProcess)
    return processes


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "toy_command.py"
    path.write_text(SCRIPT)
    return path


def start(script, out, *more, **options):
    command = [sys.executable, str(script), "run", "--profile", "quick", "--out", str(out), *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    here = os.environ | {"TMPDIR": str(script.parent)}  # what a killed study leaves goes with it
    return subprocess.Popen(command, env=here, **pipes, **options)


def files(out):
    return {path.name: path.read_bytes() for path in (out / "records").glob("*.json")}


def results(out):
    """What the records say, without what differs from process to process."""
    found = {path.stem: read_record(path) for path in (out / "records").glob("*.json")}
    for record in found.values():
        del record["token"], record["threads"]
    return found


def leftovers(out):
    return [path.name for path in out.rglob(".*")]


def test_each_variant_and_seed_becomes_one_record(run, out, toy):
    found = run()
    assert {(r["variant"], r["seed"]) for r in found} == {
        ("baseline", 0),
        ("baseline", 1),
        ("selu", 0),
        ("selu", 1),
    }
    assert len(files(out)) == 2 * 3 + 2 * 2  # three rates tried and two seeds for each of two
    assert sorted(toy.ledger("finished")) == sorted(name[:-5] for name in files(out))


def test_a_record_says_what_was_done_with_what(run):
    record = run(variants="selu", seeds=1)[0]
    assert record["profile"] == "quick"
    assert record["data"]["fingerprint"] == "toy-images"
    assert record["source"] == "generated"
    assert record["data"]["n_train"] == 100
    assert record["budget"]["epochs"] == study.PROFILES["quick"].epochs
    assert {"history", "best_epoch", "test_accuracy", "seconds", "threads"} <= record.keys()


@pytest.mark.parametrize(
    ("variant", "tried", "chosen"),
    [
        ("selu", [2e-4, 5e-4, 1.25e-3], 5e-4),  # the best of two, at the end, and one beyond
        ("one_cycle", [2.5e-3, 5e-3, 1e-2, 2e-2], 2.5e-3),  # still at the end: twice as many
    ],
)
def test_a_search_goes_on_beyond_its_end_while_the_best_rate_is_there(
    run, out, variant, tried, chosen
):
    found = run(variants=variant, seeds=1)
    trials = [r for r in study.load_records(out) if r["kind"] == "search"]
    assert sorted(trial["learning_rate"] for trial in trials) == pytest.approx(tried)
    assert found[0]["learning_rate"] == pytest.approx(chosen)  # the toy's best is near 5e-4
    assert {trial["seed"] for trial in trials}.isdisjoint({r["seed"] for r in found})


def test_a_second_start_trains_nothing_and_changes_no_file(run, out, toy):
    run()
    before, trained = files(out), len(toy.ledger("started"))
    run()
    assert files(out) == before
    assert len(toy.ledger("started")) == trained


def test_more_seeds_and_variants_add_to_what_is_there(run, out):
    run(seeds=1, variants="selu")
    before = files(out)
    run(seeds=3, variants="selu,one_cycle")
    assert len(files(out)) == 3 + 4 + 2 * 3
    assert before.items() <= files(out).items()


def test_results_do_not_depend_on_who_trains_or_in_which_order(
    processes, out, tmp_path, toy, monkeypatch
):
    processes(workers=3)
    trained_by = {line.split()[1] for line in toy.ledger("started")}
    assert len(trained_by) > 1
    assert str(os.getpid()) not in trained_by
    assert no_workers_left(toy)
    monkeypatch.setattr(runner, "LocalCrew", toy.CrewOfThisProcess)
    processes(workers=1, out=tmp_path / "other")
    processes(workers=1, variants="selu", seeds=1, out=tmp_path / "third")
    assert results(out) == results(tmp_path / "other")
    assert results(tmp_path / "third").items() <= results(out).items()


def test_the_cores_that_the_process_may_use_are_shared_out(run, monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "cores", lambda: 6)
    assert {record["threads"] for record in run(workers=2, seeds=1)} == {3}
    monkeypatch.setattr(machine, "cores", lambda: 1)  # a container's quota, say
    assert {r["threads"] for r in run(seeds=1, out=tmp_path / "other")} == {1}
    assert runner.count_workers(None) == 1


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("run-selu-0", lambda text: text[: len(text) // 2]),
        ("run-selu-0", lambda text: ""),
        ("run-selu-0", lambda text: text.replace('"format": 1', '"format": 2')),
        ("run-selu-0", lambda text: "[1, 2]"),
        ("run-selu-0", lambda text: "\0" * len(text)),
        ("search-selu-0.0005", lambda text: text[:-40]),
    ],
    ids=["cut", "empty", "format", "list", "zeros", "search"],
)
def test_a_damaged_record_is_named_and_its_training_done_again(run, out, capsys, name, damage):
    run(variants="selu")
    before = results(out)
    path = out / "records" / f"{name}.json"
    path.write_text(damage(path.read_text()))
    capsys.readouterr()
    run(variants="selu")
    said = capsys.readouterr().out
    assert f"{name}.json" in said
    assert "is done again" in said
    assert results(out) == before


def test_a_whole_file_that_lacks_a_result_is_damaged_too(run, out, capsys):
    run(variants="selu")
    path = out / "records" / "run-selu-1.json"
    record = read_record(path)
    del record["best_epoch"]
    write_record(path, record)
    run(variants="selu")
    assert "lacks best_epoch" in capsys.readouterr().out
    assert "best_epoch" in read_record(path)


def test_a_half_written_record_does_not_count_and_is_removed(run, out):
    run(variants="selu", seeds=1)
    (out / "records" / ".run-selu-1.json.4711.part").write_text('{"format": 1, "kin')
    assert len(run(variants="selu", seeds=2)) == 2
    assert not leftovers(out)


def test_records_of_earlier_versions_with_their_checksums_are_read(run, out, toy):
    run(variants="selu")
    trained = len(toy.ledger("started"))
    for path in (out / "records").iterdir():
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "checksum": "0" * 64}))
    assert len(run(variants="selu")) == 2
    assert len(toy.ledger("started")) == trained


def test_a_record_of_another_code_revision_or_rate_is_named_and_done_again(run, out, capsys):
    run(variants="selu")
    before = results(out)
    for seed, change in ((0, {"revision": 99}), (1, {"learning_rate": 0.123})):
        path = out / "records" / f"run-selu-{seed}.json"
        write_record(path, {**read_record(path), **change})
    capsys.readouterr()
    run(variants="selu")
    said = capsys.readouterr().out
    assert "run-selu-0.json has another revision" in said
    assert "run-selu-1.json has another learning rate" in said
    assert results(out) == before


def test_a_record_under_the_name_of_another_seed_is_not_believed(run, out):
    run(variants="selu")
    before = results(out)
    (out / "records" / "run-selu-1.json").write_bytes(
        (out / "records" / "run-selu-0.json").read_bytes()
    )
    run(variants="selu")
    assert results(out) == before


def test_a_folder_of_another_profile_is_refused_before_training(run, out, toy):
    run(variants="selu")
    before, trained = files(out), len(toy.ledger("started"))
    with pytest.raises(study.StudyError, match="another profile and another budget"):
        run(variants="selu", profile="standard")
    assert files(out) == before
    assert len(toy.ledger("started")) == trained


def test_a_folder_of_other_images_is_refused(run, monkeypatch):
    run(variants="selu")
    monkeypatch.setenv("TOY_IMAGES", "other-images")
    with pytest.raises(study.StudyError, match="another data"):
        run(variants="selu")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"variants": "baseline,sellu"}, ArgumentError, "batch_norm.*got 'sellu'"),
        ({"variants": " , "}, ArgumentError, "got none"),
        ({"variants": []}, ArgumentError, "got none"),
        ({"seeds": 0}, ArgumentError, "seeds: .*got 0"),
        ({"seeds": 2.5}, TypeError, "seeds"),
        ({"workers": 0}, ArgumentError, "workers: .*got 0"),
        ({"workers": True}, TypeError, "workers"),
        ({"profile": "fast"}, ArgumentError, "quick, standard or full"),
        ({"workers": 2, "scheduler": "tcp://127.0.0.1:1"}, ArgumentError, "together with"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_touched(run, out, changes, error, message):
    with pytest.raises(error, match=message):
        run(**changes)
    assert not out.exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(study.StudyError, match="out: expected a folder to write to"):
        run(out=tmp_path / "file" / "study")


def test_a_worker_that_dies_once_costs_nothing_but_a_note(processes, toy, monkeypatch, capsys):
    monkeypatch.setenv("TOY_KILL", "run-selu-1")
    assert len(processes()) == 4
    assert "selu, seed 1 is tried once more: Its worker process died" in capsys.readouterr().out
    assert toy.ledger("finished").count("run-selu-1") == 1
    assert len(toy.ledger("started")) == 10 + 1, "another training was lost with it"


def test_a_run_whose_worker_dies_twice_is_reported_and_the_others_go_on(
    processes, out, monkeypatch
):
    monkeypatch.setenv("TOY_KILL", "run-selu-0")
    monkeypatch.setenv("TOY_TIMES", "2")
    with pytest.raises(study.StudyError, match=r"9 of 10 .* Failed: selu, seed 0: .* died"):
        processes(workers=1)
    assert len(files(out)) == 9


def test_a_training_that_raises_is_tried_once_more(run, monkeypatch, capsys):
    monkeypatch.setenv("TOY_RAISE", "run-baseline-1")
    assert len(run()) == 4
    assert "baseline, seed 1 is tried once more: MemoryError: no room" in capsys.readouterr().out


def test_a_training_that_raises_twice_is_reported_and_the_others_go_on(run, out, monkeypatch):
    monkeypatch.setenv("TOY_RAISE", "run-baseline-1")
    monkeypatch.setenv("TOY_TIMES", "2")
    with pytest.raises(study.StudyError) as caught:
        run()
    assert str(caught.value) == (
        "9 of 10 trainings are done and kept. Failed: baseline, seed 1: MemoryError: no room for "
        "the toy. The same command tries again what is not done."
    )
    assert len(files(out)) == 9
    assert len(run()) == 4


def test_a_search_trial_that_raises_is_tried_once_more(run, monkeypatch):
    monkeypatch.setenv("TOY_RAISE", "search-baseline-0.0002")
    assert len(run()) == 4


def test_a_search_trial_that_fails_holds_up_its_variant_alone_and_the_error_says_so(
    run, out, monkeypatch
):
    monkeypatch.setenv("TOY_RAISE", "search-baseline-0.0002")
    monkeypatch.setenv("TOY_TIMES", "2")
    with pytest.raises(study.StudyError) as caught:
        run()
    assert str(caught.value) == (
        "6 of 9 trainings are done and kept. Failed: baseline, search, learning rate 0.0002: "
        "MemoryError: no room for the toy. 2 wait for a learning rate. The same command tries "
        "again what is not done."
    )
    assert len(files(out)) == 6
    assert len(run()) == 4


def test_a_variant_of_which_every_rate_diverges_is_reported(run, toy, monkeypatch):
    def diverging(job, tell):
        result = toy.train(job, tell)
        gone = dict.fromkeys(("best_epoch", "validation_loss", "validation_accuracy"))
        return result | gone if job.variant == "selu" else result

    with pytest.raises(study.StudyError, match=r"7 of 9 .*selu, search: every learning rate div"):
        run(trainer=study.Trainer(toy.describe, diverging))


def test_a_crew_without_workers_for_the_moment_is_waited_for_once_a_round(run, toy, monkeypatch):
    class Crew(toy.CrewOfThisProcess):
        def size(self):
            sizes.append(0 if len(sizes) < 3 else 1)
            return sizes[-1]

    sizes, pauses = [], []
    monkeypatch.setattr(runner, "LocalCrew", Crew)
    monkeypatch.setattr(runner.time, "sleep", pauses.append)
    assert len(run(seeds=1)) == 2
    assert [pause for pause in pauses if pause] == [runner._PAUSE] * 3  # the toy's are 0


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(run, out, monkeypatch):
    calls = []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files_module.os, "fsync", fsync)
        with pytest.raises(study.StudyError, match="the disk is full; what is done is kept"):
            run()
    assert len(files(out)) == 2  # the third write was the list of what was asked for
    assert not leftovers(out)
    before = files(out)
    assert len(run()) == 4
    assert before.items() <= files(out).items()


def test_writing_a_record_turns_numbers_that_are_not_finite_into_null(tmp_path):
    write_record(tmp_path / "r.json", {"loss": [1.5, float("nan")], "top": float("inf")})
    assert read_record(tmp_path / "r.json") == {"loss": [1.5, None], "top": None}


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path):
    write_record(tmp_path / "r.json", {"seed": 1})
    with pytest.raises(TypeError):
        write_record(tmp_path / "r.json", {"seed": object()})
    assert read_record(tmp_path / "r.json") == {"seed": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_the_epochs_of_the_jobs_in_work_are_told(processes, toy, monkeypatch):
    told = []

    def hear(self, key, *epoch):
        told.append((key, *epoch))
        if key == "run-selu-0":
            toy.note("heard", key)

    monkeypatch.setattr(runner.StudyProgress, "epoch", hear)
    monkeypatch.setattr(runner, "_PAUSE", 0.02)
    monkeypatch.setenv("TOY_WAIT", "run-selu-0")
    found = processes(variants="selu", seeds=1)[0]
    assert ("run-selu-0", 1, {"val_accuracy": found["history"]["val_accuracy"][0]}) in told


def test_a_log_has_a_line_for_each_training(run, monkeypatch, capsys):
    monkeypatch.delenv("COURSEKIT_HEADLESS")
    run(variants="selu", seeds=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "[1/3] selu, search, learning rate 0.0002",
        "[2/3] selu, search, learning rate 0.0005",
        "[3/4] selu, search, learning rate 0.00125",
        "[4/4] selu, seed 0",
    ]
    assert all("validation accuracy" in line for line in lines)


def test_without_dask_a_scheduler_is_refused_with_what_to_install(run, out, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ArgumentError, match=r"pip install \"dask\[distributed\]\""):
        run(scheduler="tcp://127.0.0.1:8786")
    assert not out.exists()


def test_a_second_study_on_the_same_folder_is_refused_in_one_sentence(run, out, toy):
    run(variants="selu")
    before, trained = files(out), len(toy.ledger("started"))
    with locked(out / "study.lock"):
        with pytest.raises(study.StudyError, match="out: expected a folder where no study is at"):
            run()
        assert files(out) == before
        assert len(toy.ledger("started")) == trained
    assert len(run()) == 4


def test_an_interrupt_ends_in_one_sentence_and_keeps_what_is_done(
    script, out, toy, monkeypatch, wait_until
):
    monkeypatch.setenv("TOY_HANG", "8")  # so that it does not come too late
    process = start(script, out, start_new_session=True)
    wait_until(lambda: len(files(out)) >= 3)
    os.killpg(process.pid, signal.SIGINT)
    errors = process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert errors.strip() == (
        "coursekit: interrupted; what is done is kept, and the same command goes on from there."
    )
    assert not leftovers(out)
    assert 3 <= len(files(out)) < 5 * 7
    assert no_workers_left(toy)


def test_workers_end_when_the_study_is_killed(script, out, toy, monkeypatch, wait_until):
    monkeypatch.setenv("TOY_SECONDS", "30")
    process = start(script, out, "--workers", "2")
    wait_until(lambda: len(toy.ledger("started")) == 2)
    process.kill()
    process.communicate()
    wait_until(lambda: no_workers_left(toy))


@pytest.mark.slow
def test_killed_again_and_again_each_run_is_done_once_with_the_results_of_a_quiet_study(
    script, tmp_path, toy, run, monkeypatch, wait_until
):
    run(out=tmp_path / "quiet", variants=None, seeds=5)
    quiet = len(toy.ledger("started"))
    expected = results(tmp_path / "quiet")
    monkeypatch.setenv("TOY_SECONDS", "0.04")
    moments, out = random.Random(1), tmp_path / "study"
    for kill in range(5):
        before = files(out)
        enough = quiet + 3 + 6 * kill
        monkeypatch.setenv("TOY_HANG", str(enough + 6))  # so that no kill comes too late
        process = start(script, out, "--seeds", "5")
        wait_until(
            lambda p=process, n=enough: p.poll() is not None or len(toy.ledger("started")) >= n
        )
        time.sleep(moments.uniform(0, 0.15))
        assert process.poll() is None, "it ended before it was killed"
        process.kill()
        process.communicate()
        assert before.items() <= files(out).items(), "a finished run was lost or repeated"
    before = files(out)
    assert 0 < len(before) < len(expected), "the kills came too early or too late"
    monkeypatch.delenv("TOY_HANG")
    last = start(script, out, "--seeds", "5")
    errors = last.communicate(timeout=300)[1]
    assert last.returncode == 0, errors
    assert before.items() <= files(out).items()
    assert results(out) == expected


def no_workers_left(toy):
    for line in toy.ledger("started"):
        try:
            if psutil.Process(int(line.split()[1])).status() != psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            continue
    return True


def test_the_list_of_what_was_asked_for_grows_and_survives_damage(run, out, capsys):
    run(variants="selu", seeds=2)
    run(variants="baseline", seeds=1)
    asked = json.loads((out / "study.json").read_text())
    assert (asked["variants"], asked["seeds"]) == (["selu", "baseline"], [0, 1])
    (out / "study.json").write_text("{")
    assert len(run(variants="baseline", seeds=1)) == 1
    assert read_record(out / "study.json")["variants"] == ["baseline"]
