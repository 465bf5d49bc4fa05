"""The gradstream command."""


def main() -> None:
    """Entry point."""
    raise SystemExit("gradstream: not built yet")
