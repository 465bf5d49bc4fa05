"""Adapters to the world around: settings, Redis, the local stack."""
