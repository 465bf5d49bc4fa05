"""Records, samples and predictions in compiled code: no object each, no GIL."""
