"""Commands on results: report, recommend, dashboard."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgscale.option_groups import MOST_SEED
from ecgscale.output import engineering, print_facts
from ecgscale.study_commands import StartOption, StorageOption, StudyArgument

if TYPE_CHECKING:
    from analysis.questions.budgets.recommend import Recommendation
    from analysis.trials.table import TrialTable

PANEL = "Results"
WhereOption = Annotated[
    str | None,
    typer.Option(
        help='Only networks that meet a condition on factors and costs: "residual and mflops < 50".'
    ),
]
BOOTSTRAPS = 200
ECGS = 3


class FigureFormat(StrEnum):
    """Kinds of files a figure can be written to."""

    svg = "svg"
    pdf = "pdf"
    png = "png"


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(report)
    app.command(rich_help_panel=PANEL)(recommend)
    app.command(rich_help_panel=PANEL)(dashboard)


def report(
    study: StudyArgument,
    out: Annotated[Path, typer.Option(help="Folder for report.html and tables/*.csv.")],
    storage: StorageOption = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="STORE", help="The study's store, to draw a few test ECGs from."),
    ] = None,
    ecgs: Annotated[
        int,
        typer.Option(
            min=0,
            max=10,
            help="With --data: so many test ECGs that the network was right on, and as many that "
            "it was wrong on. 0 leaves patients' ECGs out of the page.",
        ),
    ] = ECGS,
    bootstraps: Annotated[
        int,
        typer.Option(min=10, max=100_000, help="Refits behind every interval of an importance."),
    ] = BOOTSTRAPS,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Same seed, same report.")] = 0,
    where: WhereOption = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="STUDY", help="Compare with another design space's study, too."),
    ] = None,
    figures: Annotated[
        list[FigureFormat] | None,
        typer.Option(help="Also every figure as a file; repeatable. Needs kaleido and a Chromium."),
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Put figures and findings into optuna-dashboard too.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Analyse a study: one self-contained HTML page, and a CSV for every figure."""
    from analysis.report import write_report

    page = write_report(
        study,
        out,
        storage=storage,
        data=data,
        ecgs=ecgs,
        bootstraps=bootstraps,
        seed=seed,
        where=where,
        against=against,
        figures=figures or (),
        publish=publish,
        progress=None if quiet else show_step,
    )
    print(f"Report: {page}")


def show_step(part: str) -> None:
    """Show what is computed now."""
    print(f"  {part}", flush=True)


def recommend(
    study: StudyArgument,
    flops: Annotated[str, typer.Option(help="Budget: the most FLOPs of one record, e.g. 100M.")],
    storage: StorageOption = None,
    where: WhereOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the architecture to this JSON file.")
    ] = None,
    by_law: Annotated[
        bool,
        typer.Option("--by-law", help="Also the untrained network that the scaling law gives."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Name the architecture to use within a FLOPs budget, with the score to expect."""
    from analysis.errors import AnalysisError
    from analysis.page.words import say
    from analysis.questions.budgets.recommend import recommend as choose
    from analysis.questions.context import Context
    from analysis.questions.edges.numbers import best_values
    from analysis.questions.edges.section import widen_sentence
    from analysis.questions.estimates import expected_candidates
    from analysis.stats.refusal import Refusal
    from analysis.trials.factors import label
    from analysis.trials.find import read_table
    from search.database.storage import open_storage
    from search.definition import parse_count

    budget = parse_count(flops, "--flops")
    table = read_table(study, open_storage(storage), where)
    context = Context(table)
    expected = context.known(expected_candidates)
    result = choose(table.candidates, budget, expected)
    if isinstance(result, Refusal):
        raise AnalysisError(say(result))
    law = _by_law(table, result.budget) if by_law else {}
    best = context.known(best_values)
    ends = {} if best is None else {one.factor: one.end_value for one in best.open}
    if out is not None and result.architecture is not None:
        _write_architecture(out, result.architecture, table)
    if as_json:
        print(json.dumps(_recommendation(result) | {"ends_of_space": ends} | law, indent=2))
        return
    _tell(result)
    if best is not None and best.open:
        print(f"  note: {widen_sentence(best)}")
    if "by_law_refusal" in law:
        print(f"  by the scaling law: {law['by_law_refusal']}")
    elif law:
        shown = {name: engineering(value) for name, value in law["by_law_costs"].items()}
        factors = {name: label(value) for name, value in law["by_law_factors"].items()}
        print_facts(
            {"architecture": law["by_law_hash"], **factors, **shown},
            title="By the scaling law, not trained yet",
        )


def _tell(result: Recommendation) -> None:
    """Print a recommendation for people."""
    from analysis.page.words import say
    from analysis.stats.interval import PERCENT
    from analysis.trials.factors import label

    interval = result.interval
    facts = {
        "architecture": result.architecture_hash,
        **{name: label(value) for name, value in result.factors.items()},
        **{name: engineering(value) for name, value in result.costs.items()},
        f"observed {result.metric}": f"{result.observed:.4f}",
        f"expected {result.metric}": f"{result.expected:.4f}"
        + (f" ({PERCENT} interval {interval.low:.4f} to {interval.high:.4f})" if interval else ""),
        "expected regret": "unknown" if result.regret is None else f"{result.regret:.4f}",
        "statistically indistinguishable": f"{max(len(result.indistinguishable) - 1, 0)} others "
        f"of {result.candidates} candidates",
    }
    print_facts(facts, title=f"For at most {engineering(result.budget, 'FLOPs')} per record")
    for note in result.notes:
        print(f"  note: {say(note)}")


def dashboard(
    storage: StorageOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    password_file: Annotated[
        Path | None,
        typer.Option(
            envvar="ECGSCALE_DASHBOARD_PASSWORD_FILE",
            help="File with a password to ask for (any user name). Give one, and TLS before it, "
            "where other machines reach it.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A further name that it is reached by, as a proxy's; repeatable."
        ),
    ] = None,
    start_within: StartOption = 0.0,
) -> None:
    """Open optuna-dashboard on the studies of the database; Ctrl-C ends it.

    It answers for this machine's names and addresses and those of --allow-host only, and takes
    writes from its own pages only. A study renamed or deleted there is so as by `ecgscale rename`
    and `delete`. /metrics has the trials by state for Prometheus (docs/grafana-board.json draws
    them); /healthz says, without a password, whether the database is reached.
    """
    from ecgscale.dashboard import complete_notes, is_loopback, make_dashboard
    from search.database.schema import require_schema
    from search.database.storage import open_storage, when_there
    from search.secret_file import read_secret

    tell = partial(print, file=sys.stderr, flush=True)
    opened = open_storage(storage, patience_seconds=start_within, say=tell)
    when_there(lambda: require_schema(opened), start_within, tell)
    for why in complete_notes(opened)[1].values():
        print(f"Skipped: {why}", file=sys.stderr)
    password = None if password_file is None else read_secret(password_file, "the password")
    server = make_dashboard(opened, host, port, hosts=allow_host or (), password=password)
    if not is_loopback(host) and password is None:
        print(
            f"Warning: {host} is reachable from other machines, and without --password-file the "
            "dashboard asks for no password: whoever reaches it can change and delete studies."
        )
    address = f"http://{host}:{server.server_port}/dashboard/"
    print(f"optuna-dashboard on {address} (Ctrl-C ends it)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


def _write_architecture(out: Path, architecture: str, table: TrialTable) -> None:
    """Write a network with the shape that its study has, for which `cost` counts it."""
    from analysis.questions.laws.scaled import study_shape

    made_for = {"study": table.study.name, "input": asdict(study_shape(table))}
    content = {**json.loads(architecture), "provenance": made_for}
    out.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _by_law(table: TrialTable, budget: float) -> dict[str, Any]:
    """Describe the network that the scaling law gives at a budget, or say why there is none."""
    from analysis.page.words import say
    from analysis.questions.laws.scaled import law_network, study_shape
    from analysis.stats.refusal import Refusal

    network = law_network(table, budget)
    if isinstance(network, Refusal):
        return {"by_law_refusal": say(network)}
    cost = network.cost(**study_shape(table))
    return {
        "by_law_hash": network.hash,
        "by_law_architecture": json.loads(network.to_json()),
        "by_law_factors": dict(network.factors),
        "by_law_costs": {
            "flops": cost.flops,
            "params": cost.params,
            "activations": cost.activations,
        },
    }


def _recommendation(result: Recommendation) -> dict[str, Any]:
    from analysis.page.words import say

    interval = result.interval
    return {
        "budget_flops": result.budget,
        "architecture_hash": result.architecture_hash,
        "architecture": json.loads(result.architecture) if result.architecture else None,
        "factors": dict(result.factors),
        "costs": dict(result.costs),
        "metric": result.metric,
        "observed": result.observed,
        "expected": result.expected,
        "interval": [interval.low, interval.high] if interval else None,
        "regret": result.regret,
        "candidates": result.candidates,
        "indistinguishable": [one.architecture_hash for one in result.indistinguishable],
        "notes": [say(note) for note in result.notes],
    }
