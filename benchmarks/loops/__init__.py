"""Peers: loops that somebody who knows a library would write by hand, one a module."""
