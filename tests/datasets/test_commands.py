from __future__ import annotations

import pytest
from typer.testing import CliRunner

from coursekit.datasets import cache, embedded
from coursekit.datasets.commands import app
from coursekit.errors import ArgumentError, DataError


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "TERM": "dumb"})


def test_list_shows_every_set_with_its_source(tiny, tmp_path, small):
    assert run("import", "mnist", str(tiny.write(tmp_path / "a"))).exit_code == 0
    rows = {line.split()[0]: line for line in run("list").stdout.splitlines()[1:]}
    assert set(rows) >= {"mnist", "fashion_mnist", "cifar10", "digits", "shapes"}
    assert "official" in rows["mnist"]
    assert "400" in rows["mnist"]
    assert "'digits' stands in" in rows["fashion_mnist"]


def test_import_says_what_it_found(tiny, tmp_path):
    result = run("import", "mnist", str(tiny.write(tmp_path / "a")))
    assert (result.exit_code, result.stdout) == (0, "mnist: 400 official images, 0 MB\n")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["import", "mnist", "/no/such/place"], DataError, "no file or folder /no/such/place"),
        (["import", "mnits", "."], ArgumentError, "no data set 'mnits'"),
        (["fetch", "mnist"], DataError, "COURSEKIT_OFFLINE is set"),
        (["fetch", "mnits"], DataError, "no data set 'mnits'"),
    ],
)
def test_what_goes_wrong_is_left_to_the_command_line_as_one_sentence(arguments, error, message):
    result = run(*arguments)
    assert type(result.exception) is error
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_fetch_goes_on_after_a_failure_and_reports_it(server, small):
    del server.files["train-labels-idx1-ubyte.gz"]
    result = run("fetch", "mnist", "shapes")
    assert "shapes: 800 embedded images" in result.stdout
    assert "answered 404" in str(result.exception)
    assert cache.open_cached("shapes", "embedded", recipe=1) is not None


def test_fetch_of_what_is_there_does_nothing(server):
    run("fetch", "mnist")
    asked = len(server.asked)
    result = run("fetch", "mnist")
    assert result.stdout == "mnist: 400 official images, 0 MB\n"
    assert len(server.asked) == asked


def test_verify_lists_the_good_and_fails_on_the_damaged(server, small, fresh):
    run("fetch", "mnist", "shapes")
    result = run("verify")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "mnist: 400 official images, 0 MB",
        "shapes: 800 embedded images, 2 MB",
    ]
    (path,) = fresh.glob("mnist/official/files-*/x_test.npy")
    path.write_bytes(path.read_bytes()[:-1])
    result = run("verify")
    assert result.stdout == "shapes: 800 embedded images, 2 MB\n"
    assert isinstance(result.exception, DataError)
    assert "x_test.npy has" in str(result.exception)


def test_verify_of_nothing_says_so():
    assert run("verify").stdout == "The cache is empty.\n"


def test_path_prints_the_folder_and_nothing_else(fresh):
    assert run("path").stdout == f"{fresh}\n"
    assert not fresh.exists()


def test_list_makes_nothing(fresh, monkeypatch):
    monkeypatch.setattr(embedded, "make", None)
    assert run("list").exit_code == 0
    assert not fresh.exists()
