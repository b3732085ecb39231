"""The report: medians over rounds, each figure beside its baseline of the same minute, as a table and as files."""

import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
import psutil
from rich.table import Table

from benchmarks.cases.case import Case, StageT
from benchmarks.measured import Measured

_ROOT = Path(__file__).parents[1]


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides of one round, and what was wrong."""

    case: Measured
    baseline: Measured | None
    problems: list[str]

    @property
    def ratio(self) -> float | None:
        """How many times the baseline's throughput."""
        return self.case.rate / self.baseline.rate if self.baseline is not None and self.baseline.rate else None


class CaseReport(msgspec.Struct, frozen=True, kw_only=True):
    """All rounds of a case."""

    name: str
    title: str
    baseline: str | None
    target: str | None
    reached: bool | None
    """None: no target is set, or it was a short run."""
    rounds: list[Round]

    def median(self, figures: Sequence[float | None]) -> float | None:
        """Of those that are there."""
        known = [figure for figure in figures if figure is not None]
        return statistics.median(known) if known else None

    @property
    def rate(self) -> float | None:
        """Operations a second."""
        return self.median([one.case.rate for one in self.rounds])

    @property
    def baseline_rate(self) -> float | None:
        """The baseline's."""
        return self.median([None if one.baseline is None else one.baseline.rate for one in self.rounds])

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios."""
        return self.median([one.ratio for one in self.rounds])

    @property
    def problems(self) -> list[str]:
        """Of all rounds."""
        return [f"round {n}: {problem}" for n, one in enumerate(self.rounds, 1) for problem in one.problems]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    machine: dict[str, str]
    options: dict[str, str]
    cases: list[CaseReport]


def case_report(case: Case[StageT], rounds: list[Round], *, judged: bool) -> CaseReport:
    """What the rounds of a case come to."""
    report = CaseReport(
        name=case.name,
        title=case.title,
        baseline=case.baseline,
        target=None if case.target is None else case.target.text(),
        reached=None,
        rounds=rounds,
    )
    if case.target is None or not judged:
        return report
    values = {
        "ratio": report.ratio,
        "wall_s": report.median([one.case.wall_s for one in rounds]),
        "p99_ms": report.median([one.case.p99_ms for one in rounds]),
        "peak_mb": max((one.case.peak_mb.get("web", 0.0) for one in rounds), default=None),
    }
    value = values[case.target.of]
    reached = value is not None and case.target.met(value) and not report.problems
    return msgspec.structs.replace(report, reached=reached)


COLUMNS = (
    *("case", "a second", "p50 ms", "p99 ms", "max ms", "in all s", "baseline a second", "ratio (each round)"),
    *("server CPU ms", "PostgreSQL CPU ms", "client's share", "web MB", "target"),
)


def cells(report: CaseReport) -> list[str]:
    """One line of the table."""
    of = [one.case for one in report.rounds]
    share = report.median([one.client_share for one in of])
    memory = max((one.peak_mb.get("web", 0.0) for one in of), default=0.0)
    ratios = " ".join("-" if one.ratio is None else f"{one.ratio:.2f}" for one in report.rounds)
    target = report.target or "-"
    if report.reached is not None:
        target += ", reached" if report.reached else ", missed"
    return [
        report.title,
        _figure(report.rate),
        _figure(report.median([one.p50_ms for one in of])),
        _figure(report.median([one.p99_ms for one in of])),
        _figure(report.median([one.max_ms for one in of])),
        _figure(report.median([one.wall_s for one in of])),
        _figure(report.baseline_rate) + (f" ({report.baseline})" if report.baseline else ""),
        "-" if report.ratio is None else f"**{report.ratio:.2f}** ({ratios})",
        _figure(report.median([one.cpu_ms_each("web", "beside") for one in of])),
        _figure(report.median([one.cpu_ms_each("postgres") for one in of])),
        "-" if share is None else f"{share:.0%}",
        _figure(memory or None),
        target,
    ]


def _figure(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return "-"
    if value >= 100:  # noqa: PLR2004  (no decimals from here on)
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004  (the same)


def table(report: Report) -> Table:
    """For the terminal."""
    shown = Table(title="Box office benchmarks", show_lines=False)
    for column in COLUMNS:
        shown.add_column(column, justify="left" if column in {"case", "target"} else "right", overflow="fold")
    for case in report.cases:
        shown.add_row(*(cell.replace("**", "") for cell in cells(case)))
    return shown


def markdown(report: Report) -> str:
    """For docs/performance.md, to be pasted as it is."""
    lines = [f"{name}: {value}  " for name, value in (report.machine | report.options).items()]
    lines += ["", "| " + " | ".join(COLUMNS) + " |", "|---" + "|---:" * (len(COLUMNS) - 2) + "|---|"]
    lines += ["| " + " | ".join(cells(case)) + " |" for case in report.cases]
    lines += ["", "Steps of the longer cases (median of rounds, milliseconds):", "", "| case | step | p50 | p99 |"]
    lines += ["|---|---|---:|---:|"]
    for case in report.cases:
        steps = case.rounds[0].case.operations if case.rounds else {}
        for step in steps if len(steps) > 1 else ():
            found = [one.case.operations[step] for one in case.rounds if step in one.case.operations]
            p50, p99 = (case.median([getattr(one, name) for one in found]) for name in ("p50_ms", "p99_ms"))
            lines.append(f"| {case.name} | {step} | {_figure(p50)} | {_figure(p99)} |")
    wrong = [f"- {case.name}: {problem}" for case in report.cases for problem in case.problems]
    if wrong:
        lines += ["", "What went wrong (figures of these cases do not count):", "", *wrong]
    return "\n".join(lines) + "\n"


def write(report: Report, folder: Path) -> list[Path]:
    """The report as files."""
    folder.mkdir(parents=True, exist_ok=True)
    text, data = folder / "report.md", folder / "report.json"
    text.write_text(markdown(report), encoding="utf-8")
    data.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    return [text, data]


def machine() -> dict[str, str]:
    """What was measured, and on what; no name of the machine."""
    return {
        "Date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "Machine": f"{_processor()}, {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"{platform.system()} {platform.release()}",
        "Software": f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("granian", "litestar", "asyncpg", "msgspec", "uvloop")),
        "Source": _revision(),
    }


def _processor() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _revision() -> str:
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607  (whichever git is installed)
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return f"boxoffice {version('boxoffice')}"
    return f"boxoffice {version('boxoffice')}, {told.stdout.strip()}"
