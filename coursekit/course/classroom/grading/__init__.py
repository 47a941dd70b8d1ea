"""`class grade`: learners' code runs in one process, checks and verdicts live in another."""
