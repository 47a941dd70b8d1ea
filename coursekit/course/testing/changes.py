"""Which notebooks differ from those of the branch that the work will be merged into."""

from __future__ import annotations

import subprocess
from pathlib import Path

from coursekit.course.notebooks.catalogue import KINDS, Notebook, built, source_of

_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


def changed_notebooks(root: Path) -> tuple[list[Notebook], str]:
    """Return the built notebooks whose source or file has changed, and since when, in words.

    Compared is the working tree, new files included, with the merge base of HEAD and the main
    branch. Outside git, and without a common ancestor, nothing is known to have changed.
    """
    branch, base = _merge_base(root)
    if base is None:
        return [], "git knows no merge base with a main branch here"
    folders = ("sources", *KINDS)
    differing = _git(root, "diff", "--name-only", "--relative", "-z", base, "--", *folders)
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *folders)
    paths = set(f"{differing or ''}{new or ''}".split("\0"))
    chosen = [each for each in built(root) if paths & {source_of(each), each.label}]
    return chosen, f"since the merge base with {branch}"


def _merge_base(root: Path) -> tuple[str, str | None]:
    for branch in _BRANCHES:
        base = _git(root, "merge-base", "HEAD", branch)
        if base:
            return branch, base.strip()
    return "", None


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git says, or None where there is no git, no repository, or no such commit."""
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, encoding="utf-8", check=False
        )
    except OSError:
        return None
    return answer.stdout if answer.returncode == 0 else None
