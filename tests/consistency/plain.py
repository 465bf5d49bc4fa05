"""The state that the log gives at some of its offsets: folded record by record, with nothing pending."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from infra.settings import load_settings
from streams.log_format import parse_record
from streams.verify import new_view
from tests.topics import read_topic


def digests_at(kafka: str, config: Path, model: str, offsets: Collection[int]) -> dict[int, str]:
    """Log offset → digest of the tensors there."""
    view = new_view(load_settings(config).models[model].spec())
    found = {}
    for record in read_topic(kafka, f"{model}.learning-log"):
        view.fold_run([parse_record(record.offset, record.key, record.value, record.headers)])
        if view.fold.log_offset in offsets:
            found[view.fold.log_offset] = view.model.digest()
    return found
