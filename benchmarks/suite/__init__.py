"""The suite: gradstream beside its peers on every kind of stream, and each goal of speed: `make bench`."""
