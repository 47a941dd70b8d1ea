"""How an answer is judged: the tasks, running a check, what is shown, and the progress kept."""
