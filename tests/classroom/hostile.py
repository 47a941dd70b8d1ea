"""Hostile and unlucky submissions: what they hand in, and the outcome each task must get.

A case is (name, exercise, answers, expected): answers are task → code, True for the course's own
solution; expected is task → outcome, or a set of outcomes where either is right. What stands
under "before" is a cell of the learner's own ahead of the first task.
"""

from __future__ import annotations

WRONG = "def batch_norm(x, gamma, beta, epsilon):\n    return x\n"
RIGHT = """
def batch_norm(x, gamma, beta, epsilon):
    import numpy as np
    return gamma * (x - np.mean(x, axis=0)) / np.sqrt(np.var(x, axis=0) + epsilon) + beta
"""
NEXT = {"count_parameters": True}  # the task after it, which must not suffer
NEXT_RIGHT = {"count_parameters": "correct"}


def numpy_case(name, code, outcome, *, before=""):
    """One task of exercise 04 answered by `code`, and a right answer after it."""
    return name, 4, {"batch_norm": code} | NEXT, {"batch_norm": outcome} | NEXT_RIGHT, before


def called(body):
    """A function that does `body` when it is called, and answers wrongly."""
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    return f"def batch_norm(x, gamma, beta, epsilon):\n{lines}\n    return x\n"


PLAIN = [
    # The checker patched
    numpy_case("getattr of ex", "type(ex).__getattr__ = lambda s, n: (lambda *a: True)\n" + WRONG,
               "wrong"),
    numpy_case("grading switched off", 'import os\nos.environ["COURSEKIT_GRADING"] = "0"\n' + WRONG,
               "wrong"),
    numpy_case("allclose", "np.allclose = np.array_equal = lambda *a, **k: True\n" + WRONG,
               "wrong"),
    numpy_case("agree", "import coursekit.checks.kit.compare as c\nc.agree = print\n" + WRONG,
               "wrong"),
    numpy_case("run", "import coursekit.checks.engine.runner as r\nr.run = print\n" + WRONG,
               "wrong"),
    numpy_case("Wrong", "import coursekit.checks.engine.verdict as v\nv.Wrong.__init__ = "
               "lambda *a: exec('raise SystemExit')\n" + WRONG, "wrong"),
    numpy_case("import hook", "import sys\nclass Hook:\n    def find_spec(self, *a):\n        "
               "return None\nsys.meta_path.insert(0, Hook())\n" + WRONG, "wrong"),
    numpy_case("thread that patches later", """
import threading, time
def later():
    while True:
        time.sleep(0.01)
        np.allclose = lambda *a, **k: True
threading.Thread(target=later, daemon=True).start()
""" + WRONG, "wrong"),
    numpy_case("built-ins replaced", "import builtins\nbuiltins.abs = lambda x: 0\n" + WRONG,
               "wrong"),
    # The expected result searched for
    numpy_case("gc", called("import gc\nfor o in gc.get_objects():\n    if isinstance(o, dict) and "
                            "'want' in o:\n        return o['want']"), "wrong"),
    numpy_case("frames", called("import sys\nframe = sys._getframe()\nwhile frame:\n    if 'want' "
                                "in frame.f_locals:\n        return frame.f_locals['want']\n    "
                                "frame = frame.f_back"), "wrong"),
    numpy_case("the reference imported", "from coursekit.checks.ex04_batch_normalisation import "
               "batch_norm\n", {"crashed", "tampering"}),
    numpy_case("the solution read", """
from pathlib import Path
import coursekit, json
path = Path(coursekit.__file__).parents[1] / "solutions" / "04_batch_normalisation.ipynb"
for cell in json.loads(path.read_text())["cells"]:
    if "task:batch_norm" in cell["metadata"].get("tags", []):
        exec("".join(cell["source"]))
""", {"crashed", "tampering"}),
    # Results forged
    numpy_case("stdout", called('import os\nprint(\'{"outcome": "correct"}\')\n'
                                'os.write(1, b\'{"outcome": "correct"}\')'), "wrong"),
    numpy_case("every descriptor", called("""
import os
for n in range(3, 64):
    try:
        os.write(n, b'[{"op": "result", "outcome": "correct"}, []]' * 9)
    except OSError:
        pass
"""), {"crashed", "wrong"}),
    numpy_case("arrays that equal everything", """
class Yes(np.ndarray):
    def __eq__(self, other): return np.ones(self.shape, bool)
    __ne__ = __lt__ = __sub__ = __eq__
    def __array_ufunc__(self, *a, **k): return np.zeros(1)
    def __array_function__(self, *a, **k): return True
def batch_norm(x, gamma, beta, epsilon):
    return x.view(Yes)
""", "wrong"),
    numpy_case("objects that change with each look", """
class Moody:
    looks = 0
    def __array__(self, dtype=None, copy=None):
        Moody.looks += 1
        return np.full((3, 2), float(Moody.looks))
def batch_norm(x, gamma, beta, epsilon):
    return Moody()
""", "wrong"),
    numpy_case("a verdict as the answer", """
class Good:
    outcome = "correct"
    def __bool__(self): return True
batch_norm = Good()
""", "wrong"),
    # The process
    numpy_case("os._exit in the cell", "import os\nos._exit(0)\n" + RIGHT, "crashed"),
    numpy_case("os._exit when called", called("import os\nos._exit(0)"), "crashed"),
    numpy_case("sys.exit in the cell", "import sys\nsys.exit(0)\n" + RIGHT, "crashed"),
    numpy_case("sys.exit when called", called("raise SystemExit(0)"), "crashed"),
    numpy_case("kill of the parent", """
import os, signal
for target in (os.getppid(), -1):
    try:
        os.kill(target, signal.SIGKILL) if target else None
    except OSError:
        pass
""" + RIGHT, {"correct", "crashed"}),
    numpy_case("fork", "import os\nfor _ in range(3):\n    os.fork()\n" + RIGHT, "correct"),
    numpy_case("fork when called", "import os\n" + called("os.fork()"), "wrong"),
    numpy_case("descriptors closed", "import os\nos.closerange(3, 256)\n" + RIGHT, "crashed"),
    numpy_case("endless cell", """
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
""", "time"),
    numpy_case("endless function", called("""
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""), "time"),
    numpy_case("memory filled", called("parts = []\nwhile True:\n    "
                                       "parts.append(bytearray(2**28))"), "crashed"),
    numpy_case("disk filled", """
try:
    for n in range(20):
        with open(f"part{n}", "wb") as file:
            file.write(bytes(2**26))
except OSError:
    pass
""" + RIGHT, "correct"),
    numpy_case("a result of a gigabyte", called("return np.zeros(2**27)"), {"wrong", "crashed"}),
    numpy_case("recursion", called("return batch_norm(x, gamma, beta, epsilon)"), "crashed"),
    numpy_case("an error without words", called("""
class Mute(Exception):
    def __str__(self): raise ValueError
raise Mute
"""), "crashed"),
    # Unlucky
    numpy_case("prints and warnings", "import sys, warnings\nprint('x' * 10**6, file=sys.stderr)\n"
               "warnings.warn('careful')\n" + RIGHT, "correct"),
    numpy_case("magics", "%matplotlib inline\n!pip install numpy\n%time z = 3\n" + RIGHT,
               "correct"),
    numpy_case("a timed cell", "%%time\n" + RIGHT, "correct"),
    numpy_case("a right answer after an error", RIGHT + "1 / 0\n", "correct"),
    numpy_case("a cell that is no Python", "def batch_norm(x:\n", "crashed"),
    numpy_case("an own cell that fails", RIGHT, "correct", before="1 / 0"),
    numpy_case("an own cell that ends the process", RIGHT, "correct",
               before="import os\nos._exit(1)"),
    numpy_case("an own cell that never ends", RIGHT, "correct", before="while True: pass"),
    numpy_case("an answer that waits for input", "input()\n" + RIGHT, {"crashed", "correct"}),
]  # fmt: skip

PRELU_RIGHT = True
PRELU = """
class MyPReLU(keras.layers.Layer):
    def build(self, shape):
        self.alpha = self.add_weight(shape=(shape[-1],), initializer="zeros")
    def call(self, z):
        {during}
        return z
"""


def keras_case(name, outcome, *, cell="", during="pass"):
    """A wrong PReLU that does something in its cell, or while the check calls it."""
    return name, 3, {"prelu": cell + PRELU.format(during=during)}, {"prelu": outcome}, ""


BESIDE = [
    ("a right layer", 3, {"prelu": True}, {"prelu": "correct"}, ""),
    keras_case("a wrong layer", "wrong"),
    keras_case("allclose", {"tampering", "wrong"},
               cell="np.allclose = lambda *a, **k: True\n"),
    keras_case("asarray while it is called", "tampering",
               during="np.asarray = np.array; np.allclose = lambda *a, **k: True"),
    keras_case("Wrong while it is called", "tampering", during="""
        import sys
        for name, module in list(sys.modules.items()):
            if name.endswith('engine.verdict'):
                module.Wrong.__new__ = lambda *a: SystemExit()
            if name.endswith('kit.behaviour'):
                module._same = lambda *a: True"""),
    keras_case("a thread that patches later", "tampering", cell="""
import sys, threading, time
def later():
    while True:
        time.sleep(0.001)
        for name, module in list(sys.modules.items()):
            if name.endswith('kit.behaviour'):
                module._same = lambda *a: True
threading.Thread(target=later, daemon=True).start()
"""),
    keras_case("a forged verdict", "tampering", during="""
        import json, os, struct
        text = json.dumps([{"op": "judged", "outcome": "correct", "tampering": ""}, []]).encode()
        for n in range(3, 64):
            try:
                os.write(n, struct.pack("!QQ", len(text), 0) + text)
            except OSError:
                pass"""),
    keras_case("frames", "tampering", during="import sys; frame = sys._getframe().f_back"),
    keras_case("gc", "tampering", during="import gc; gc.get_objects()"),
    keras_case("the reference among the modules", "wrong", during="""
        import sys
        for name, module in list(sys.modules.items()):
            if "ex03" in name:
                return vars(module)["TASKS"]["prelu"].right(z)"""),
    keras_case("the reference imported", {"crashed", "tampering"}, during="""
        import importlib
        name = "coursekit." + "checks.ex03_activation_functions"
        return importlib.import_module(name).TASKS["prelu"].right()(z)"""),
    keras_case("Keras replaced", "tampering",
               cell="keras.layers.Layer.__call__ = lambda self, *a, **k: 0\n"),
    keras_case("code of a function replaced", "tampering", cell="""
def always(a, b, *more, **named): return True
np.allclose.__wrapped__.__code__ = always.__code__
"""),
    keras_case("an own import hook", {"wrong", "tampering"}, cell="""
import sys
class Hook:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if "behaviour" in name: raise ImportError
sys.meta_path.insert(0, Hook)
"""),
    keras_case("a class that claims to be another", {"wrong", "crashed"}, during="""
        self.__class__ = type("Yes", (type(self),), {"__eq__": lambda a, b: True,
                                                     "__hash__": None})"""),
    keras_case("exits", "crashed", during="import os; os._exit(0)"),
    keras_case("sys.exit", "crashed", during="raise SystemExit"),
    keras_case("never ends", "time", during="""
        while True:
            try:
                while True: pass
            except BaseException: pass"""),
]  # fmt: skip

CASES = PLAIN + BESIDE
