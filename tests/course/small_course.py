"""A small copy of the course with tiny packages, for tests that install and start one."""

from __future__ import annotations

import hashlib
import io
import shutil
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

from coursekit.base.environment import ROOT

UV = shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")
_KEPT = {"__init__.py", "__main__.py", "errors.py", "base", "course", "bootstrap", "commands.py"}


def copy_package(root: Path, cli: str, dependencies: Sequence[str] = ()) -> None:
    """Write a course into `root`: the package as far as its bootstrap, and this `cli` behind it.

    `dependencies` are those of the tests; the package itself wants `ck-alpha`.
    """

    def left_out(path: str, names: list[str]) -> list[str]:
        cut = Path(path).name in {"coursekit", "course"}
        return [name for name in names if cut and name not in _KEPT]

    shutil.copytree(ROOT / "coursekit", root / "coursekit", ignore=left_out)
    (root / "coursekit" / "cli.py").write_text(cli)
    change(root, "SPACE = 4 * 10**9", "SPACE = 1")
    test = ", ".join(f'"{each}"' for each in dependencies)
    (root / "pyproject.toml").write_text(
        '[project]\nname = "coursekit"\ndependencies = ["ck-alpha>=1"]\n'
        f"[project.optional-dependencies]\nlab = []\ntest = [{test}]\n"
    )


def change(root: Path, old: str, new: str, module: str = "environment") -> None:
    """Replace what stands once in a module of the course's bootstrap."""
    code = root / "coursekit" / "course" / "bootstrap" / f"{module}.py"
    text = code.read_text(encoding="utf-8")
    assert text.count(old) == 1
    code.write_text(text.replace(old, new), encoding="utf-8")


def wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    program: str | None = None,
    python: str = ">=3.11",
    files: int = 0,
    for_others: Sequence[bytes] = (),
) -> str:
    """Write the wheel of a small package, or of a program; return its line for a lock.

    `files` more modules make it take a moment to install; `for_others` are the wheels of other
    systems, whose hashes stand in the same line.
    """
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    texts = {
        f"{module}/__init__.py": f"VERSION = {version!r}\n",
        **{f"{module}/part_{number}.py": "x = 1\n" * 50 for number in range(files)},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        f"Requires-Python: {python}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,{len(text)}\n" for path, text in texts.items())
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in {**texts, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)
        if program:
            archive.write(program, f"{module}-{version}.data/scripts/{Path(program).name}")
    folder.mkdir(exist_ok=True)
    (folder / f"{module}-{version}-py3-none-any.whl").write_bytes(content.getvalue())
    found = sorted(hashlib.sha256(each).hexdigest() for each in (content.getvalue(), *for_others))
    return f"{name}=={version}" + "".join(f" \\\n    --hash=sha256:{one}" for one in found) + "\n"
