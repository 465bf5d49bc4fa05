"""A model over recorded samples, test-then-train, beside everything that is live."""
