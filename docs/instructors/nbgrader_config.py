"""nbgrader for this course: copy this file into the folder of your nbgrader course.

Sources are the course's solutions/NN_name.ipynb, put into source/ASSIGNMENT/. See nbgrader.md.
"""

import os

# Experiments in the notebooks are short while nbgrader executes them, and nothing is downloaded.
os.environ.setdefault("COURSEKIT_PROFILE", "quick")
os.environ.setdefault("COURSEKIT_OFFLINE", "1")
os.environ["COURSEKIT_HEADLESS"] = "1"

c = get_config()  # noqa: F821 - given by nbgrader

c.CourseDirectory.course_id = "deep-learning"

# A cell that never ends costs this many seconds, is interrupted, and the next one runs.
c.Execute.timeout = 180
c.Execute.interrupt_on_timeout = True
c.Execute.startup_timeout = 120
c.Execute.iopub_timeout = 60
c.Execute.raise_on_iopub_timeout = False

# What stands in place of a solution is what the course itself puts there.
c.ClearSolutions.code_stub = {"python": "...  # your code here"}
c.ClearSolutions.begin_solution_delimeter = "### BEGIN SOLUTION"
c.ClearSolutions.end_solution_delimeter = "### END SOLUTION"
