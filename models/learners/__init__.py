"""Families of models: how features and params make raw scores, and the gradient by the params."""
