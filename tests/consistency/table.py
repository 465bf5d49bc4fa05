"""The fault table: all rows by name."""

from __future__ import annotations

from tests.consistency import faults_input, faults_log, faults_network, faults_redis, faults_workers
from tests.consistency.row import Row

TABLE: dict[str, Row] = {
    row.name: row
    for rows in (
        faults_workers.ROWS,
        faults_redis.ROWS,
        faults_network.ROWS,
        faults_input.ROWS,
        faults_log.ROWS,
    )
    for row in rows
}
