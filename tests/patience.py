"""How long a test waits for what takes a moment: the limit is for a hung machine only."""

PATIENCE = 300  # seconds; a busy machine may take a hundred times as long as an idle one
