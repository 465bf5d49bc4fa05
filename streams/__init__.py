"""Kafka and Faust: what flows, and the gradstream command."""
