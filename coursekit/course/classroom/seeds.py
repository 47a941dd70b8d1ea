"""Is a secret seed fair? Known answers are checked on the inputs that it draws.

`COURSEKIT_CHECK_SEED=WORD python -m coursekit.course.classroom.seeds 08 09` ends with 1, and says
which answer, where a check judges one otherwise than it must.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from coursekit.checks.engine.runner import run
from coursekit.checks.engine.tasks import load


def misjudged(number: int) -> Iterator[str]:
    """Yield a sentence for each known answer that gets another verdict.

    >>> list(misjudged(0))
    []
    """
    for task in load(number):
        right = task.right if isinstance(task.right, tuple) else (task.right,)
        if task.right is not None and run(task, right).outcome != "correct":
            yield f"the check {number:02}.{task.name} rejects a right answer."
        for reason, wrong in task.mistakes.items():
            given = wrong if isinstance(wrong, tuple) else (wrong,)
            if run(task, given).outcome != "wrong":
                yield f"the check {number:02}.{task.name} accepts a wrong answer: {reason}"


def main(arguments: list[str]) -> int:
    """Print what is misjudged; return 1 if there is any."""
    found = [line for word in arguments for line in misjudged(int(word))]
    print("\n".join(found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
