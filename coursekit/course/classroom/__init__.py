"""The instructor's half: plan, slides, release, grade, watch, hub and bundle."""
