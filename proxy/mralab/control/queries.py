"""The queries that a control sends to each of its proxies. Pure.

Both ends use these names: ``Control`` sends a query, ``LocalControl`` has a handler for each. Parameters and answers
are JSON data, since a worker gets them over a channel.
"""

from __future__ import annotations

from enum import StrEnum


class Query(StrEnum):
    """One query. The comment gives its parameter, and its answer if it has one."""

    PING = "ping"  # -> the process's condition (``health.as_message``)
    PUT = "put"  # settings (``Settings.message``) to put into force
    TRANSACTIONS = "transactions"  # how many -> the latest requests, with losses
    LOG = "log"  # how many -> the latest lines, with losses
    FINDINGS = "findings"  # seconds since the epoch, or None for all -> the findings since then, with losses
    LADDER = "ladder"  # the same, and how many requests -> the ladder of the latest, as JSON data
    STATS = "stats"  # -> the counters
    WATCH = "watch"  # whether to publish log lines as they are written
    RECORD = "record"  # the file for packets of a new diagnostic log, None to end -> lines and losses so far
    RESET = "reset"  # clear the journal and end the diagnostic log
    CLEAR = "clear"  # clear the journal
    REOPEN = "reopen"  # open the log file again
