"""The course's notebooks: built from their sources, run without a browser, tested.

    sources/notebooks/NN_name.py  ->  notebooks/NN_name.ipynb
    sources/exercises/NN_name.py  ->  exercises/NN_name.ipynb, solutions/NN_name.ipynb

`catalogue` finds notebooks, `convert` turns a source into notebook objects, `rules` says what a
good one holds, `execute` runs one, `build`, `run` and `testing` are the commands of the same name.
"""
