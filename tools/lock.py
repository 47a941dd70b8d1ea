"""Write requirements.lock: `python tools/lock.py` (authors only; needs uv, see CONTRIBUTING.md).

One resolution for Linux, macOS and Windows and every supported Python, split into the sections
that the course installs: "base" (what a lesson needs), "test" (what the test extra adds) and
"installer" (uv itself, which the course fetches first and lets install the others).
`--upgrade` takes the newest versions; without it the locked ones stay wherever they still fit.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
HEADER = """\
# Exact versions with hashes for Linux, macOS and Windows. Written by tools/lock.py; do not edit.
"""


def resolve(uv: str, source: str, *options: str) -> str:
    """Return what `uv pip compile` makes of a list; end the program where it fails."""
    lowest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = re.search(r"\d+\.\d+", lowest["requires-python"]).group()
    command = [uv, "pip", "compile", source, "--universal", "--python-version", version]
    command += ["--only-binary", ":all:", "--no-header", "--no-annotate", "--quiet", *options]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(result.stderr)
    return result.stdout


def entries(lock: str) -> dict[str, str]:
    """Return the requirement lines of a lock: text up to the hashes -> whole entry."""
    found = re.findall(r"^(\S.*?)((?: \\\n    --hash=\S+)*)$", lock, re.MULTILINE)
    return {line: line + hashes for line, hashes in found if not line.startswith("#")}


def main() -> None:
    """Resolve everything, then the base part of the same versions, and write both sections."""
    parser = argparse.ArgumentParser(description=__doc__)
    beside = shutil.which("uv", path=Path(sys.executable).parent) or "uv"
    parser.add_argument("--uv", default=beside, help="the uv program")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        everything, installer = Path(folder) / "everything.txt", Path(folder) / "installer.in"
        keep = [] if given.upgrade or not LOCK.exists() else ["--constraint", str(LOCK)]
        keep.append("--generate-hashes")
        installer.write_text("uv\n", encoding="utf-8")
        alone = entries(resolve(given.uv, str(installer), *keep))
        whole = entries(resolve(given.uv, "pyproject.toml", "--extra", "test", *keep))
        everything.write_text("\n".join(whole) + "\n", encoding="utf-8")
        base = resolve(
            given.uv, "pyproject.toml", "--extra", "lab", "--constraint", str(everything)
        )
    names = {re.match(r"[\w.-]+", line).group() for line in entries(base)}
    parts = {"installer": list(alone.values()), "base": [], "test": []}
    for line, entry in whole.items():
        name = re.match(r"[\w.-]+", line).group()
        parts["base" if name in names else "test"].append(entry)
    text = HEADER + "".join(
        f"# section: {section}\n" + "\n".join(parts[section]) + "\n" for section in parts
    )
    LOCK.write_text(text, encoding="utf-8", newline="\n")
    print(", ".join(f"{section}: {len(lines)} packages" for section, lines in parts.items()))


if __name__ == "__main__":
    main()
