"""Prequential quality of gradstream beside River and Vowpal Wabbit: python -m benchmarks.quality -h."""
