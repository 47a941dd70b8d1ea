"""Nets ready to train: builders, activations, transfer, folding, recommended configurations."""
