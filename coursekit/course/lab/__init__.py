"""The learner's copies under `work/`, and JupyterLab on them."""
