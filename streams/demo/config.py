"""The demo's gradstream.toml: a file as any user would write it."""

from __future__ import annotations

from pathlib import Path

from infra.local import Status
from streams.demo.errors import DemoError

MODEL = "flights"
SAMPLES = "flights"
LABELS = f"{MODEL}.labels"
PREDICTIONS = f"{MODEL}.predictions"
TOPICS = (SAMPLES, LABELS, PREDICTIONS, f"{MODEL}.dead-letters", f"{MODEL}.learning-log")
GROUP = "gradstream"
FILE = "gradstream.toml"
FIRST_LINE = "# Written by gradstream demo, which replaces it when it runs in this folder again."
HORIZON_HOURS = 24

LATE_LABELS = f"""labels = "{LABELS}"      # a flight's label comes when it has landed
label_horizon = "{HORIZON_HOURS}h"          # or, after so long, never
"""


def _text(late_labels: str) -> str:
    return f"""{FIRST_LINE}
[kafka]
bootstrap_servers = "{{kafka}}"

[redis]
url = "{{redis}}"

[models.{MODEL}]
samples = "{SAMPLES}"
{late_labels}task = "binary"                # late (1) or not (0)
learner = "linear"
update = "sample"

[models.{MODEL}.features]
numeric = ["dep_delay", "distance"]
categorical = ["carrier", "origin", "dest", "month", "hour", "weekday"]
interactions = [["origin", "dest"], ["carrier", "dest"]]
hash_bits = 18
"""


TEXT = _text(late_labels="")
"""The demo's model where labels come in the samples: the benchmarks'."""
DEMO_TEXT = _text(LATE_LABELS)


def own_file(folder: Path) -> bool:
    """Whether the demo has run in this folder before; raises DemoError for somebody else's settings file."""
    path = folder / FILE
    if not path.exists():
        return False
    if path.read_text("utf-8", "replace").startswith(FIRST_LINE):
        return True
    raise DemoError(f"{path} is not the demo's: give the demo a folder of its own with --dir")


def write(folder: Path, servers: Status) -> Path:
    """Write the file; its path."""
    path = folder / FILE
    path.write_text(DEMO_TEXT.format(kafka=servers.kafka, redis=servers.redis), "utf-8")
    return path
