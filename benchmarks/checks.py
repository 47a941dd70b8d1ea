"""How long a learner waits for a check: the slowest ones, for the solutions' answers.

    python benchmarks/checks.py [NN ...] [--show 10]

Each task's own solution is checked twice in a process that has Keras loaded, as a notebook has; the
second call is what counts, the first, with what it must trace, stands beside it. Goal: 2 seconds
where no net must be trained, 10 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from _harness import header

from coursekit.checks.engine.tasks import numbers

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))


def seconds(number: int) -> dict[str, tuple[float, float]]:
    """Return the seconds of the first and the second check of each task of an exercise."""
    from mutants import Answers

    answers, found = Answers(number), {}
    for name, code in answers.tasks.items():
        taken = []
        for _ in range(2):
            began = time.perf_counter()
            verdict = answers.verdict(name, code)
            taken.append(time.perf_counter() - began)
        if verdict != "correct":
            raise SystemExit(f"{number:02}.{name}: the solution is judged {verdict}.")
        found[f"{number:02}.{name}"] = (taken[0], taken[1])
    return found


def main() -> None:
    """Print the slowest checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    # Exercise 0 lives in lesson 00.
    parser.add_argument("numbers", nargs="*", type=int, metavar="NN", default=list(numbers())[1:])
    parser.add_argument("--show", type=int, default=10)
    options = parser.parse_args()
    print(header("the slowest checks of right answers"))
    found = {}
    for number in options.numbers:
        found |= seconds(number)
    slowest = sorted(found, key=lambda name: found[name][1], reverse=True)
    print(
        f"{len(found)} tasks; all second calls together: {sum(t for _, t in found.values()):.0f} s"
    )
    for name in slowest[: options.show]:
        first, second = found[name]
        print(f"  {name:32} {second:5.2f} s   (first call {first:5.2f} s)")


if __name__ == "__main__":
    main()
