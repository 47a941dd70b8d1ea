"""Whose a submission is, in the forms in which learning platforms hand them over."""

from __future__ import annotations

import zipfile

import pytest

from coursekit.course.classroom.grading.submissions import find
from coursekit.errors import ArgumentError

NAMES = ("08_optimizers", "09_learning_rate_schedules")


def learners(path):
    return [(s.learner, s.file) for s in find(path, NAMES)]


def files(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")


class KoreanWindows(zipfile.ZipInfo):
    """Writes names in the bytes of a Korean Windows, without the flag for UTF-8."""

    def _encodeFilenameFlags(self):  # noqa: N802
        return self.filename.encode("cp949"), 0


def zipped(path, *names, kind=zipfile.ZipInfo):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(kind(name), name)
    return path


def test_a_folder_is_a_learner_and_the_names_of_files_do_not_matter(tmp_path):
    files(tmp_path, "김, 민수/a.ipynb", "김, 민수/deep/b.ipynb", "Lee/08_optimizers.ipynb")
    assert learners(tmp_path) == [
        ("Lee", "Lee/08_optimizers.ipynb"), ("김, 민수", "김, 민수/a.ipynb"),
        ("김, 민수", "김, 민수/deep/b.ipynb"),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "learner"), [
    ("08_optimizers_kim.ipynb", "kim"), ("kim-08_optimizers.ipynb", "kim"),
    ("Kim Min-su (08_optimizers).ipynb", "Kim Min-su"), ("박지성_08.ipynb", "박지성"),
    ("exercise 08 lee.ipynb", "lee"), ("08_optimizers.ipynb", "08_optimizers"),
    ("09_learning_rate_schedules_08_optimizers.ipynb", "08_optimizers"),
    ("o'neil.ipynb", "o'neil"), ("08_anna.ipynb", "anna"), ("hw3_anna.ipynb", "hw3_anna"),
    ("group 4_08_optimizers_anna.ipynb", "group 4_anna"), ("이순신2_08.ipynb", "이순신2"),
])  # fmt: skip
def test_a_file_at_the_top_holds_the_learners_name(tmp_path, name, learner):
    files(tmp_path, name)
    assert learners(tmp_path) == [(learner, name)]


def test_what_systems_leave_behind_is_passed_over(tmp_path):
    files(tmp_path, "kim/a.ipynb", "kim/.ipynb_checkpoints/a-checkpoint.ipynb", "kim/._a.ipynb",
          "__MACOSX/kim/a.ipynb", "kim/notes.txt", "kim/data.csv")  # fmt: skip
    (tmp_path / "kim" / "link.ipynb").symlink_to("/etc/passwd")
    (tmp_path / "kim" / "folder.ipynb").mkdir()
    assert learners(tmp_path) == [("kim", "kim/a.ipynb")]


def test_a_zip_reads_like_a_folder_with_or_without_one_around_all(tmp_path):
    plain = zipped(tmp_path / "a.zip", "kim/a.ipynb", "lee/b.ipynb")
    inside = zipped(tmp_path / "b.zip", "all of them/kim/a.ipynb", "all of them/lee/b.ipynb")
    assert learners(plain) == learners(inside) == [("kim", "kim/a.ipynb"), ("lee", "lee/b.ipynb")]


@pytest.mark.parametrize("kind", [zipfile.ZipInfo, KoreanWindows])
def test_hangul_in_a_zip(tmp_path, kind):
    path = zipped(tmp_path / "a.zip", "이순신/a.ipynb", "lee/b.ipynb", kind=kind)
    assert [learner for learner, _ in learners(path)] == ["lee", "이순신"]


def test_a_zip_reaches_out_of_nothing_and_its_damage_is_its_own(tmp_path):
    path = zipped(tmp_path / "a.zip", "../../kim/a.ipynb", "/lee/b.ipynb")
    assert learners(path) == [("kim", "kim/a.ipynb"), ("lee", "lee/b.ipynb")]
    data = path.read_bytes().replace(b"../../kim/a.ipynbPK", b"../../kim/X.ipynbPK")
    path.write_bytes(data)
    assert sorted(len(s.data) for s in find(path, NAMES)) == [0, len("/lee/b.ipynb")]


def test_nothing_to_grade_is_one_clear_sentence(tmp_path):
    with pytest.raises(ArgumentError, match="there is no"):
        find(tmp_path / "absent", NAMES)
    with pytest.raises(ArgumentError, match="no notebook in"):
        find(tmp_path, NAMES)
    files(tmp_path, "text.zip")
    with pytest.raises(ArgumentError, match="is neither"):
        find(tmp_path / "text.zip", NAMES)
