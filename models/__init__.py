"""The mathematics of gradstream: features, learners, metrics and the fold's state. No I/O, no clock."""
