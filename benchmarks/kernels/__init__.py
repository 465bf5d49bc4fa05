"""Speed of the learners without Kafka, each beside its peer on one core: python -m benchmarks.kernels -h."""
