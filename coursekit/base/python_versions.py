"""The Pythons that the course runs on; written so that every Python 3 can read it."""

FIRST = (3, 11)
LAST = (3, 13)
