"""Racing settings of a model on recorded samples."""
