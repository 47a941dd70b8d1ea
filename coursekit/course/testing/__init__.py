"""The test command: pytest over the package, nbval over the notebooks."""
