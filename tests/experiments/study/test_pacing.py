"""Measuring the pace apart from the runs: what is measured, in which order, and what is kept."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from coursekit.base import machine
from coursekit.base.files import locked
from coursekit.errors import ArgumentError, DataError
from coursekit.experiments import study
from coursekit.experiments.study import commands, pacing, runner
from coursekit.experiments.study.records import read_record, write_record


@pytest.fixture
def done(toy, out, monkeypatch):
    """Make a finished study of two variants; its folder and the ledger tell of nothing else."""
    with monkeypatch.context() as patch:
        patch.setattr(runner, "LocalCrew", toy.CrewOfThisProcess)
        study.run(variants="baseline,selu", seeds=2, profile="quick", out=out, trainer=toy.TRAINER)
    for path in Path(os.environ["TOY_FOLDER"]).iterdir():
        path.unlink()
    return out


@pytest.fixture
def processes(toy, done):
    """Measure the finished study in worker processes."""

    def measure(**changes):
        settings = {"out": done, "trainer": toy.TRAINER, "workers": 2}
        return study.pace(**{**settings, **changes})

    return measure


@pytest.fixture
def measure(processes, toy, monkeypatch):
    """Measure the finished study in this process, which is faster."""
    monkeypatch.setattr(pacing, "LocalCrew", toy.CrewOfThisProcess)
    return processes


def files(out, kind=""):
    return {path.name: path.read_bytes() for path in (out / "records").glob(f"{kind}*.json")}


def started(toy):
    return [line.split()[0] for line in toy.ledger("started")]


def recording(toy, recorded):
    """Return a trainer whose epochs take the recorded seconds, a row for each training."""
    rows = iter(recorded)

    def train(job, tell):
        return toy.train(job, tell) | {"epoch_seconds": list(next(rows))}

    return study.Trainer(toy.describe, train)


def test_the_pace_is_the_median_over_the_epochs_of_all_processes_but_their_first(
    measure, done, toy
):
    recorded = np.random.default_rng(4).uniform(3, 9, (3 * 2, 5))  # 3 measurements in 2 processes
    found = measure(variants="selu", epochs=5, trainer=recording(toy, recorded))
    expected = [np.median(recorded[i : i + 2, 1:]) for i in (0, 2, 4)]
    assert [record["seconds_per_epoch"] for record in found] == pytest.approx(expected)
    steps = math.ceil(100 / 32)  # 100 training images in batches of 32
    assert [r["steps_per_second"] for r in found] == pytest.approx(steps / np.array(expected))
    np.testing.assert_allclose(np.vstack([r["epoch_seconds"] for r in found]), recorded)
    assert [read_record(done / "records" / f"pace-selu-{i}.json") for i in range(3)] == found


def test_measurements_go_round_the_variants_in_all_processes_at_once(measure, toy):
    measure(times=2, workers=3)
    assert started(toy) == [
        name
        for name in ("pace-baseline-0", "pace-selu-0", "pace-baseline-1", "pace-selu-1")
        for _ in range(3)
    ]


@pytest.mark.slow
def test_each_measurement_is_trained_by_two_processes(processes, done, toy):
    processes(times=1)
    by = [line.split() for line in toy.ledger("started")]
    for name in ("pace-baseline-0", "pace-selu-0"):
        assert len({pid for key, pid in by if key == name}) == 2
    assert str(os.getpid()) not in {pid for _, pid in by}
    assert len(files(done, "pace")) == 2


def test_a_record_says_what_was_measured_and_how(measure, done, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 6)
    record = measure(variants="selu", times=1, epochs=3)[0]
    chosen = read_record(done / "records" / "run-selu-0.json")["learning_rate"]
    assert (record["kind"], record["variant"], record["seed"]) == ("pace", "selu", 0)
    assert (record["epochs"], record["workers"], record["threads"]) == (3, 2, 3)
    assert (record["learning_rate"], record["profile"]) == (chosen, "quick")
    assert record["data"]["fingerprint"] == "toy-images"
    assert record["source"] == "generated"


def test_the_records_of_the_study_stay_as_they_are_and_it_goes_on(measure, done, toy, monkeypatch):
    before = files(done)
    measure()
    assert before.items() <= files(done).items()
    monkeypatch.setattr(runner, "LocalCrew", toy.CrewOfThisProcess)
    settings = {"variants": "baseline,selu", "profile": "quick", "out": done}
    assert len(study.run(seeds=2, trainer=toy.TRAINER, **settings)) == 4
    assert "run-selu-0" not in started(toy)
    assert len(study.run(seeds=3, trainer=toy.TRAINER, **settings)) == 6
    kinds = [record["kind"] for record in study.load_records(done)]
    assert kinds == ["search"] * 6 + ["run"] * 6 + ["pace"] * 6


def test_a_second_start_measures_only_what_is_not_measured(measure, done, toy):
    measure(variants="selu", times=2)
    before = files(done)
    assert len(measure(variants="selu", times=2)) == 2
    assert files(done) == before
    measure(times=3)
    assert before.items() <= files(done).items()
    assert started(toy)[4:] == 2 * ["pace-baseline-0"] + 2 * ["pace-baseline-1"] + [
        *2 * ["pace-baseline-2"],
        *2 * ["pace-selu-2"],
    ]


@pytest.mark.parametrize("when", [1, 2, 6, 11])
def test_an_interrupt_keeps_whole_measurements_and_the_rest_follows(
    measure, done, toy, when, tmp_path
):
    before, trained = files(done), []

    def train(job, tell):
        trained.append(job.key)
        if len(trained) == when:
            raise KeyboardInterrupt
        return toy.train(job, tell)

    with pytest.raises(KeyboardInterrupt):
        measure(trainer=study.Trainer(toy.describe, train))
    kept = files(done, "pace")
    assert len(kept) == (when - 1) // 2
    assert len(measure()) == 6
    assert (kept | before).items() <= files(done).items()
    assert len(started(toy)) == (when - 1) + 2 * (6 - len(kept))
    assert not list(done.rglob(".*"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: text.replace('"format": 1', '"format": 9'),
        lambda text: text.replace('"seconds_per_epoch"', '"seconds"'),
        lambda text: text.replace('"learning_rate": 0.0005', '"learning_rate": 0.01'),
    ],
    ids=["cut", "empty", "format", "lacks", "rate"],
)
def test_a_damaged_pace_is_named_left_out_and_measured_again(measure, done, capsys, damage):
    measure(times=2)
    before = files(done)
    path = done / "records" / "pace-selu-1.json"
    path.write_text(damage(path.read_text()))
    assert files(done) != before
    report = study.report(out=done)
    assert "Left out: pace-selu-1.json" in report.text()
    assert len(report.summary["variants"]["selu"]["pace"]["seconds_per_epoch"]) == 1
    capsys.readouterr()
    measure(times=2)
    said = capsys.readouterr().out
    assert "pace-selu-1.json" in said
    assert "selu, pace, measurement 2 is done again" in said
    assert files(done) == before


def test_measured_again_forgets_the_variants_asked_for_and_no_other(measure, done, toy):
    measure(times=3)
    before = files(done)
    (done / "records" / "pace-selu-0.json").write_text("{")
    measure(variants="selu", times=1, again=True)
    after = files(done)
    assert before.keys() - after.keys() == {"pace-selu-1.json", "pace-selu-2.json"}
    assert after.items() <= before.items(), "the toy measures the same again"
    assert started(toy)[-2:] == ["pace-selu-0"] * 2


@pytest.mark.parametrize("changes", [{"workers": 3}, {"epochs": 6}, {"workers": 1}])
def test_paces_measured_in_another_way_are_refused_beside_each_other(measure, done, changes):
    measure(times=1)
    before = files(done)
    for more in ({}, {"variants": "selu", "again": True}):
        with pytest.raises(study.StudyError, match=r"another way \(pace-baseline-0.json: 4 epochs"):
            measure(**changes, **more)
        assert files(done) == before
    for path in (done / "records").glob("run-baseline-*.json"):
        path.unlink()  # its pace is nothing to compare with any longer
    assert len(measure(again=True, times=1, **changes)) == 1


def test_a_study_without_runs_is_one_sentence_and_nothing_is_made(toy, out):
    with pytest.raises(DataError, match="expected a folder with finished runs, got"):
        study.pace(out=out, trainer=toy.TRAINER)
    assert not out.exists()


def test_of_a_half_finished_study_the_variants_with_a_run_are_measured(measure, done):
    for path in (done / "records").glob("run-selu-*.json"):
        path.unlink()
    assert {record["variant"] for record in measure(times=1)} == {"baseline"}
    with pytest.raises(ArgumentError, match=r"with a finished run \(baseline\), got 'selu'"):
        measure(variants="baseline,selu")


def test_runs_of_another_study_or_version_do_not_count(measure, done):
    for name, change in (("baseline-0", {"variant": "gelu"}), ("selu-0", {"profile": "full"})):
        path = done / "records" / f"run-{name}.json"
        write_record(path, read_record(path) | change)
    assert {record["profile"] for record in measure(times=1)} == {"quick"}
    for path in (done / "records").glob("run-*.json"):
        write_record(path, read_record(path) | {"variant": "gelu", "profile": "quick"})
    with pytest.raises(DataError, match="expected runs of baseline, batch_norm"):
        measure()


def test_other_images_than_the_studys_are_refused(measure, done, toy, monkeypatch):
    before = files(done)
    monkeypatch.setenv("TOY_IMAGES", "other-images")
    with pytest.raises(study.StudyError, match=r"expected the images .*100 for training of toy"):
        measure()
    assert files(done) == before
    assert started(toy) == []


def test_a_budget_with_other_fields_is_one_sentence(measure, done):
    for path in (done / "records").glob("run-*.json"):
        record = read_record(path)
        write_record(path, record | {"budget": record["budget"] | {"warm_up": 3}})
    with pytest.raises(study.StudyError, match="expected a study of this version of the course"):
        measure()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"times": 0}, ArgumentError, "times: .*got 0"),
        ({"times": 1.5}, TypeError, "times"),
        ({"epochs": 1}, ArgumentError, "epochs: expected a whole number from 2 up, got 1"),
        ({"workers": 0}, ArgumentError, "workers: .*got 0"),
        ({"workers": 65}, ArgumentError, "workers: .*got 65"),
        ({"variants": "sellu"}, ArgumentError, "got 'sellu'"),
        ({"profile": "quick"}, ArgumentError, "profile: expected none together with out"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_measured(
    measure, done, toy, changes, error, message
):
    before = files(done)
    with pytest.raises(error, match=message):
        measure(**changes)
    assert files(done) == before
    assert started(toy) == []


def test_a_folder_in_which_a_study_works_is_refused(measure, done, toy):
    with locked(done / "study.lock"), pytest.raises(study.StudyError, match="no study is at work"):
        measure()
    assert started(toy) == []


@pytest.mark.slow
def test_a_worker_that_dies_once_costs_one_measurement_more(
    processes, done, toy, monkeypatch, capsys
):
    monkeypatch.setenv("TOY_KILL", "pace-selu-0")
    assert len(processes(variants="selu", times=1)) == 1
    assert "selu, pace, measurement 1 is tried once more: Its wor" in capsys.readouterr().out
    assert started(toy) == 4 * ["pace-selu-0"]


def test_a_training_that_fails_twice_is_reported_and_the_others_go_on(
    measure, done, toy, monkeypatch
):
    def train(job, tell):
        return toy.train(job, tell) | {"diverged": job.key == "pace-baseline-1"}

    with pytest.raises(study.StudyError) as caught:
        measure(trainer=study.Trainer(toy.describe, train))
    assert str(caught.value) == (
        "5 of 6 measurements are done and kept. Failed: baseline, pace, measurement 2: it "
        "diverged, so that its last epoch is cut short. The same command without --again tries "
        "again what is not done."
    )
    assert "pace-baseline-1.json" not in files(done)
    monkeypatch.setenv("TOY_RAISE", "pace-baseline-1")
    assert len(measure()) == 6


@pytest.fixture
def command(measure, toy, done, monkeypatch):
    """Call `study pace` on the finished study."""
    monkeypatch.setattr(pacing, "real_trainer", lambda: toy.TRAINER)
    monkeypatch.setattr(machine, "cores", lambda: 2)

    def call(*arguments):
        return CliRunner().invoke(commands.app, ["pace", "--out", str(done), *arguments])

    return call


def test_the_command_says_to_leave_the_machine_alone_and_what_it_found(command, done):
    lines = " ".join(command().output.split())
    assert "Measuring the pace of baseline, selu: 3 × 4 epochs of each in 2 processes" in lines
    assert "(threads each: 1). It means something only where the machine does nothing else" in lines
    # The toy's epochs after the first take 1, 2, 3 seconds, then 2, 3, 4, then 3, 4, 5.
    for variant in ("baseline", "selu"):
        assert f"{variant}: 3.00 s an epoch (2.00 to 4.00), 1 steps a second" in lines
    assert f"next: python -m coursekit study report --out {done}" in lines
    found = study.report(out=done)
    assert "| 3.00 (2.00 to 4.00) |" in found.text()
    assert "Measuring" not in command().output, "there is nothing left to measure"


def test_the_command_tells_of_each_measurement_in_a_log(command, monkeypatch):
    monkeypatch.delenv("COURSEKIT_HEADLESS")
    lines = command("--times", "1", "--variants", "selu").output.splitlines()
    assert "[1/1] selu, pace, measurement 1: 2.00 s an epoch" in lines


@pytest.mark.parametrize(("option", "but"), [([], ""), (["--again"], " without --again")])
def test_an_interrupted_command_says_how_to_go_on(command, toy, monkeypatch, option, but):
    def train(job, tell):
        raise KeyboardInterrupt

    monkeypatch.setattr(pacing, "real_trainer", lambda: study.Trainer(toy.describe, train))
    answer = command(*option)
    assert answer.exit_code == 130
    assert answer.stderr.strip() == (
        f"coursekit: interrupted; what is done is kept, and the same command{but} goes on from "
        "there."
    )
