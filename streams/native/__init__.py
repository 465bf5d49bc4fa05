"""JSON in compiled code: no objects, no GIL."""
