"""What the course needs: the sections of requirements.lock, the dependencies of pyproject.toml."""

from __future__ import annotations

import hashlib
import re

from coursekit.base.environment import ROOT
from coursekit.errors import CourseError

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[\w,]+)\])?(?P<limits>[^;]*)")
_LIMIT = re.compile(r"(>=|<)(\d+(?:\.\d+)*)")


def is_checkout() -> bool:
    """Say whether the package lies in a clone of the course, not in an installed wheel."""
    return (ROOT / "requirements.lock").is_file()


def sections(lock: str) -> dict[str, str]:
    r"""Return the sections of a lock: name -> requirements in pip's format.

    >>> sections("# section: base\na==1\n# section: test\nb==2\n")
    {'base': 'a==1\n', 'test': 'b==2\n'}
    """
    parts = re.split(r"^# section: (\w+)\n", lock, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def locked(names: tuple[str, ...]) -> dict[str, str]:
    """Return these sections of the course's lock; raise CourseError where it is damaged."""
    try:
        found = sections((ROOT / "requirements.lock").read_text(encoding="utf-8"))
        return {name: found[name] for name in names}
    except (KeyError, ValueError, OSError) as error:
        raise CourseError(
            "requirements.lock is damaged or cannot be read: restore it with "
            f"`git checkout requirements.lock` ({type(error).__name__}: {error})."
        ) from error


def digests(names: tuple[str, ...]) -> dict[str, str]:
    """Return a digest for each of these sections of the lock."""
    return {
        name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in locked(names).items()
    }


def declared(project: dict, *extras: str) -> list[str]:
    """Return the dependencies of a `[project]` table, those of its extras included.

    An extra that names the project's own extras (`coursekit[search]`) is followed, each once.

    >>> project = {"name": "ck", "dependencies": ["a>=1"],
    ...            "optional-dependencies": {"x": ["b>=2", "ck[y]"], "y": ["c"]}}
    >>> declared(project, "x"), declared(project, "x", "y")
    (['a>=1', 'b>=2', 'c'], ['a>=1', 'b>=2', 'c'])
    """
    found = list(project["dependencies"])
    waiting = list(extras)
    for extra in waiting:
        for line in project["optional-dependencies"][extra]:
            match = _REQUIREMENT.match(line)
            if match["name"] == project["name"]:
                waiting += [name for name in match["extras"].split(",") if name not in waiting]
            else:
                found.append(line)
    return found


def fits(version: str, requirement: str) -> bool:
    """Say whether a version is within the limits (`>=`, `<`) of a requirement.

    >>> fits("3.15.0", "keras>=3.13,<4"), fits("4.0", "keras>=3.13,<4"), fits("3.9", "keras>=3.13")
    (True, False, False)
    """
    have = _release(version)
    return all(
        have >= _release(number) if sign == ">=" else have < _release(number)
        for sign, number in _LIMIT.findall(_REQUIREMENT.match(requirement)["limits"])
    )


def unmet(with_tests: bool = False) -> list[str]:
    """Return the requirements that the running interpreter does not meet."""
    import importlib.metadata
    import tomllib

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    missing = []
    for line in declared(tomllib.loads(text)["project"], *(["test"] if with_tests else ["lab"])):
        try:
            version = importlib.metadata.version(_REQUIREMENT.match(line)["name"])
        except importlib.metadata.PackageNotFoundError:
            missing.append(line)
            continue
        if not fits(version, line):
            missing.append(line)
    return missing


def _release(version: str) -> tuple[int, ...]:
    numbers = [int(number) for number in re.match(r"\d+(?:\.\d+)*", version)[0].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
