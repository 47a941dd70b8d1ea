"""Experiments over variants and seeds: hyperparameter search and the CIFAR-10 study."""
