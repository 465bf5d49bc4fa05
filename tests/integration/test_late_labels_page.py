"""The example of docs/late-labels.md is run as it is pasted, and shows what the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.integration.harness import ROOT
from tests.servers import KAFKA_VARIABLE, REDIS_VARIABLE, Servers

PAGE = (ROOT / "docs" / "late-labels.md").read_text("utf-8")
EXAMPLE = PAGE[PAGE.index("## An example") : PAGE.index("## When a label is in time")]
NAMES = ("eta", "orders", "deliveries")


def test_the_example_shows_what_the_page_says(servers: Servers, tmp_path: Path, unique_name: str) -> None:
    typed = ["set -e"]
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", EXAMPLE, re.MULTILINE | re.DOTALL):
        for name in NAMES:  # others use these servers as well
            text = re.sub(rf"\b{name}\b", f"{unique_name}-{name}", text)
        if language == "sh":
            typed.append(text)
        else:
            (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text, "utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith("GRADSTREAM_")}
    env |= {KAFKA_VARIABLE: servers.kafka, REDIS_VARIABLE: servers.redis}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    typed.append(f"gradstream inspect {unique_name}-eta --json")
    done = subprocess.run(
        ["bash", "-c", "\n".join(typed)], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    labels = json.loads(done.stdout.splitlines()[-1])["labels"]
    assert labels["joined"] + labels["waiting"] == 3600
    assert 900 < labels["waiting"] < 1100
    assert sum(labels[name] for name in ("expired", "dropped", "early", "unmatched", "repeated")) == 0
    assert re.search(rf"waits +in {unique_name}-orders-[01] @\d", done.stdout)
    for line in (
        "in time from 2026-11-24T09:58:58.000Z to 2026-11-24T11:59:58.000Z",
        "2026-11-24T12:00:58.000Z",
    ):
        assert line in done.stdout
        assert line in PAGE


def test_links_lead_to_headings_that_are_there() -> None:
    for link, anchor in re.findall(r"\]\(([\w-]+\.md)?(?:#([\w-]+))?\)", PAGE):
        text = (ROOT / "docs" / link).read_text("utf-8") if link else PAGE
        headings = [
            re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
            for line in text.splitlines()
            if line.startswith("#")
        ]
        assert not anchor or anchor in headings, (link, anchor)
