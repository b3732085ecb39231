"""The parsers of webhooks under a fuzzer that sees which lines it has reached (atheris), fed through Hypothesis.

`make fuzz-parsers` installs atheris, which the rest needs not, and goes on for FUZZ_SECONDS. What it puts in place of
the parts of an event, and what must be so, is in `tests/unit/test_gateway_events.py`; it stops at the first failure
and leaves the bytes that led to it in a file.
"""

import os
import sys
from pathlib import Path

# atheris is of `fuzz.lock`, and mostly not there when types are checked.
# pyright: reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false
# Hypothesis hangs its handle on the functions themselves.
# pyright: reportFunctionMemberAccess=false
import atheris

with atheris.instrument_imports(include=["boxoffice.payments"]):
    from unit.test_gateway_events import (
        test_no_bytes_break_the_parsers,
        test_no_part_that_is_something_else_breaks_the_parser,
    )

TARGETS = (test_no_part_that_is_something_else_breaks_the_parser, test_no_bytes_break_the_parsers)


def one_input(data: bytes) -> None:
    """The first byte chooses the test, the others are what Hypothesis draws from."""
    if data:
        TARGETS[data[0] % len(TARGETS)].hypothesis.fuzz_one_input(data[1:])


def main() -> None:
    corpus = Path("build/fuzz-parsers")
    corpus.mkdir(parents=True, exist_ok=True)
    seconds = os.environ.get("FUZZ_SECONDS", "120")
    limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=4096"]
    atheris.Setup([*sys.argv, *limits, f"-artifact_prefix={corpus}/", str(corpus)], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
