"""What the checks are written with: calling answers, reading values, comparing, choices."""
