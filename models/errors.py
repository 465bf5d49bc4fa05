"""The root of all errors that gradstream raises on purpose.

GradstreamError
├── SpecError              a model cannot be what was asked for          (models.spec)
├── SettingsError          a mistake in gradstream.toml, GRADSTREAM_* or flags   (infra.settings)
├── StoreError …           Redis: unreachable, refuses, holds another model      (infra.store)
├── LocalStackError        the local Kafka or Redis cannot be had        (infra.local)
└── LogError …             the learning log: gone, foreign, truncated    (streams.learning_log)
"""

from __future__ import annotations


class GradstreamError(Exception):
    """An error whose message is one line: what was found, where, what was expected, how to mend it."""


class SpecError(GradstreamError):
    """A model specification that cannot be folded."""
