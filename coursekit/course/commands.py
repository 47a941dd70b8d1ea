"""The commands of `python3 -m coursekit`, and what each needs to be installed."""

from __future__ import annotations

COMMANDS = {
    "lab": "Open the course in JupyterLab, on copies of your own under work/.",
    "test": "Prove the whole course: package, notebooks, exercises and solutions.",
    "run": "Run lessons, exercises or solutions without a browser and tabulate what they proved.",
    "build": "Build the notebooks from their sources.",
    "data": "List, fetch, import and verify the data sets.",
    "study": "Run, time and report the CIFAR-10 study over several seeds.",
    "class": "Lead a class: plan a lesson, release exercises, grade them, watch a lab.",
    "doctor": "Say what is installed here, what is wrong, and what to do about it.",
}
_SECTIONS = {
    "test": ("base", "test"),
    "build": ("base", "test"),
    "class": ("base", "test"),
    "doctor": (),
}
_IN_THE_ROOM = {"check", "watch"}  # of the commands of `class`: on machines that only have the lab


def sections_for(arguments: list[str]) -> tuple[str, ...]:
    """Return the sections of requirements.lock that a command line needs; none for help.

    >>> sections_for(["lab", "--no-browser"])
    ('base',)
    >>> sections_for(["test", "-k", "data"])
    ('base', 'test')
    >>> sections_for(["class", "grade", "handed-in"]), sections_for(["class", "check"])
    (('base', 'test'), ('base',))
    >>> sections_for(["lab", "--help"]), sections_for([]), sections_for(["doctor"])
    ((), (), ())
    """
    words = [word for word in arguments if not word.startswith("-")]
    if not words or "--help" in arguments:
        return ()
    if words[0] == "study" and "--scheduler" in " ".join(arguments):
        return ("base", "test")
    if words[0] == "class" and _IN_THE_ROOM & set(words[1:2]):
        return ("base",)
    return _SECTIONS.get(words[0], ("base",)) if words[0] in COMMANDS else ()
