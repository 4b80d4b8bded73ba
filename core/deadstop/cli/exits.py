"""The exit codes of `deadstop`, the same for every command."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
NOT_DURABLE = 3
UNSEEN = 4
INTERRUPTED = 130
PIPE_CLOSED = 141

EXPLAINED = """\
exit codes:
  0  done
  1  failed, or there was nothing to do it to
  2  wrong usage, or a wrong configuration
  3  in effect, but not durable: it could not be written to disk
  4  recorded, but no live process has seen it
"""
