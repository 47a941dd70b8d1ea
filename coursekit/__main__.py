"""`python3 -m coursekit ...`: checks the Python version, sees to the packages, runs the command.

Written so that every Python 3 can read it: an unsupported one must reach the sentence below.
"""

import sys

from coursekit.base.python_versions import FIRST, LAST


def main(arguments=None):
    """Run one command with these arguments (those of the process by default); return its code."""
    if not FIRST <= sys.version_info[:2] <= LAST:
        version = ".".join(str(number) for number in sys.version_info[:3])
        sys.stderr.write(
            f"coursekit needs Python 3.11, 3.12 or 3.13, and this is {version} ({sys.executable}): "
            "install one of them and call it by its name, such as: python3.12 -m coursekit lab\n"
        )
        return 2
    given = sys.argv[1:] if arguments is None else list(arguments)
    from coursekit.course.bootstrap.start import start

    code = start(given)
    if code is not None:
        return code
    from coursekit.cli import main as run

    return run(given)


if __name__ == "__main__":
    sys.exit(main())
