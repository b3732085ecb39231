"""The benchmarks' command line: ``python -m benchmarks``, by `make bench` and `boxoffice bench`."""

import fnmatch
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.cases import all_cases
from benchmarks.cases.case import Case, StageT
from benchmarks.data import NotDurableError
from benchmarks.pgbench import PgbenchError
from benchmarks.report import CaseReport, Report, Round, case_report, machine, table, write
from benchmarks.running import RunningStage, running_cases
from benchmarks.stage import OwnStage, StageError, allow_many_files, own_stage

ROUNDS: Final = 3
SECONDS: Final = 5.0
SHORT_SECONDS: Final = 0.5
WARM_UP_S: Final = 1.0
"""Of the server, before the first round of a case."""
WORKERS: Final = 2

cli = typer.Typer(name="bench", add_completion=False, pretty_exceptions_enable=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Only = Annotated[list[str] | None, typer.Option(help="A case, or a pattern such as 'map-*'; repeatable.")]
Rounds = Annotated[int | None, typer.Option(min=1, max=50, help=f"Rounds of each case; {ROUNDS}.", show_default=False)]
Seconds = Annotated[float | None, typer.Option(min=0.2, max=120, help=f"Of a round; {SECONDS:g}.", show_default=False)]
Short = Annotated[bool, typer.Option("--short", help="One small round of each: shows that the suite works.")]
Url = Annotated[str | None, typer.Option(help="Measure the server that runs there, by what its API allows.")]
Out = Annotated[Path, typer.Option(help="Where the report goes.")]
Listing = Annotated[bool, typer.Option("--list", help="Name the cases, and leave.")]


@cli.command()
def main(
    only: Only = None,
    rounds: Rounds = None,
    seconds: Seconds = None,
    url: Url = None,
    out: Out = Path("build/bench"),
    workers: Annotated[int, typer.Option(min=1, max=64, help="Web processes of our own server.")] = WORKERS,
    short: Short = False,  # noqa: FBT002  (a flag)
    listing: Listing = False,  # noqa: FBT002  (a flag)
) -> None:
    """Measure how much the box office sells, and write a report. Exit code 1: an answer was not what it must be."""
    cases = all_cases(short=short)
    from_outside = running_cases()
    if listing:
        for case in from_outside if url is not None else cases:
            print(f"{case.name:20} {case.title}")
        return
    rounds = rounds or (1 if short else ROUNDS)
    seconds = seconds or (SHORT_SECONDS if short else SECONDS)
    options = {"Rounds": f"{rounds} of {seconds:g} s, baseline and case in turn"}
    try:
        if url is None:
            with own_stage(workers, out) as stage:
                safety = ", ".join(f"{name} {value}" for name, value in stage.data.durability().items())
                err.print(f"PostgreSQL: {safety}")
                options |= {"Web processes": str(workers), "PostgreSQL": safety, "Load client": "1 process"}
                reports = _run_all(_chosen(cases, only), stage, rounds, seconds, judged=not short)
        else:
            allow_many_files()
            with RunningStage(url) as running:
                options["Server"] = "one that ran already, and whose processes are not looked at"
                reports = _run_all(_chosen(from_outside, only), running, rounds, seconds, judged=False)
    except (StageError, PgbenchError, NotDurableError) as error:
        _refuse(str(error))
    report = Report(machine=machine(), options=options, cases=reports)
    # Wide enough for the whole table also where there is no terminal.
    Console(highlight=False, width=None if sys.stdout.isatty() else 250).print(table(report))
    for path in write(report, out):
        err.print(f"Written: {path}")
    wrong = [f"{case.name}: {problem}" for case in reports for problem in case.problems]
    for line in wrong:
        err.print(f"wrong: {line}", markup=False)
    raise typer.Exit(1 if wrong else 0)


def _chosen(cases: list[Case[StageT]], only: list[str] | None) -> list[Case[StageT]]:
    chosen = [case for case in cases if not only or any(fnmatch.fnmatch(case.name, pattern) for pattern in only)]
    if not chosen:
        raise StageError(f"--only: no case is called {' or '.join(only or [])}; --list names them")
    return chosen


def _run_all(
    cases: list[Case[StageT]], stage: StageT, rounds: int, seconds: float, *, judged: bool
) -> list[CaseReport]:
    """Every case, round by round, with a bar that shows how far it is."""
    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    reports: list[CaseReport] = []
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=len(cases) * rounds)
        for case in cases:
            done: list[Round] = []
            if case.warm and seconds >= WARM_UP_S:
                bar.update(task, description=f"{case.name}: warming up")
                case.prepare(stage, WARM_UP_S).run()
            for n in range(1, rounds + 1):

                def say(what: str, at: str = f"{case.name}, round {n} of {rounds}") -> None:
                    bar.update(task, description=f"{at}: {what}")

                done.append(_round(case, stage, seconds, say))
                bar.advance(task)
            report = case_report(case, done, judged=judged)
            reports.append(report)
            bar.console.print(_line(report), markup=False)
    return reports


def _round(case: Case[StageT], stage: StageT, seconds: float, say: Callable[[str], None]) -> Round:
    """One round: set up, the baseline, the case, and a look at whether all went well."""
    say("setting up")
    prepared = case.prepare(stage, seconds)
    baseline = None
    if prepared.baseline is not None:
        say(case.baseline or "baseline")
        baseline = prepared.baseline()
    if isinstance(stage, OwnStage) and seconds >= WARM_UP_S:
        say("vacuum and checkpoint")
        stage.data.settle()
    say("measuring")
    found = prepared.run()
    say("checking")
    return Round(case=found, baseline=baseline, problems=prepared.check(found))


def _line(report: CaseReport) -> str:
    rate = "-" if report.rate is None else f"{report.rate:,.0f}/s"
    ratio = "" if report.ratio is None else f", {report.ratio:.2f} of {report.baseline}"
    return f"{report.name}: {rate}{ratio}{'  WRONG' if report.problems else ''}"


def _refuse(line: str) -> NoReturn:
    err.print(f"boxoffice: {line}", markup=False)
    sys.exit(2)


def _leave(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    # Leaving by an exception ends what was started.
    signal.signal(signal.SIGTERM, _leave)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    cli()
