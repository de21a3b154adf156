"""What each part of the two models is worth: it is changed or left out, and everything else stays as shipped.

    python -m benchmarks.ablations --what features,ties,rules --oracles movers,symmetry --seeds 3 --out DIR
    python -m benchmarks.ablations --what kl,shrinkage,caution,explored --seeds 2 --jobs 2 --out DIR

    features   each family of features of `common` left out, and each alone
    ties       dropped, half a win for either side, or Rao and Kupper's margin; teachers who call 10, 20, 40 % ties
    rules      which pair next: random, information alone, top two alone, or the shipped mix
    kl         how far from the prior `gibbs` goes, in nats
    shrinkage  what `gibbs` believes: averages of what was simulated alone, the regression on parameters alone, or
               both, with what the regression promises of newcomers taken at its word, or not at all
    caution    standard deviations that are taken off the score
    explored   share of the prior in what `gibbs` explores

The first three learn offline, on worlds that are there already, see `ablations_trials`. The others run the whole loop,
as `labels` does. All figures are differences from what is shipped, pair by pair between runs of the same taste and
seed, with 95 % intervals. Whatever is finished lies in DIR/cache, or in what --cache names, so that an interrupted one
goes on where it stopped. DIR gets a table and a picture for each.
"""

import argparse
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks import ablations_plot as plot
from benchmarks import labels, labels_cache
from benchmarks.ablations_trials import BUDGETS, RULES, Trial, figures, make_pool
from benchmarks.labels_loop import Run, Stage, make_run
from benchmarks.labels_table import Row, line
from models.generators.gibbs import Gibbs
from models.rewardors._features import FAMILIES
from pipeline import plugins

SHIPPED = "shipped"

TIED = (0.1, 0.2, 0.4)
"""Shares of pairs of random worlds that teachers call a tie."""

OFFLINE: dict[str, list[tuple[str, float]]] = {
    "features": [(name, 0.1) for name in (SHIPPED, *(f"without {one}" for one in FAMILIES), *FAMILIES)],
    "ties": [(rule, share) for share in TIED for rule in ("margin", "half", "dropped")],
    "rules": [(rule, 0.1) for rule in RULES],
}
"""Settings and teachers' ties."""

NATS = (2.5, 3.5, 4.5, 5.5)
VARIANTS = "benchmarks.ablations_variants"
SHRUNK, EXPLORING, CAUTIOUS = (f'.name="{VARIANTS}:{name}"' for name in ("Shrunk", "Exploring", "Cautious"))

LOOP: dict[str, dict[str, list[str]]] = {
    "kl": {SHIPPED: [], **{f"{kl} nats": [f"generator.kl={kl}"] for kl in NATS if kl != Gibbs(1).kl}},
    "shrinkage": {
        SHIPPED: [],
        "averages alone": ["generator.doubt=0"],
        "regression alone": [f"generator{SHRUNK}", "generator.doubt=1e9", "generator.promise=1"],
        "promises kept": [f"generator{SHRUNK}", "generator.promise=1"],
        "promises void": [f"generator{SHRUNK}", "generator.promise=0"],
    },
    "caution": {
        SHIPPED: [],
        **{f"{caution} deviations": [f"rewardor{CAUTIOUS}", f"rewardor.caution={caution}"] for caution in (0.5, 1.0)},
    },
    "explored": {
        SHIPPED: [],
        **{f"{share:.0%} prior": [f"generator{EXPLORING}", f"generator.prior={share}"] for share in (0.5, 1.0)},
    },
}
"""Settings as `alife --set` takes them."""


def main() -> None:
    """Run what is listed, write it down, draw it and print what it says."""
    given = _parse()
    os.environ["OMP_NUM_THREADS"] = "1"
    cache = given.cache or given.out / "cache"
    offline, loop = ([what for what in given.what if what in kind] for kind in (OFFLINE, LOOP))
    rows = _offline(offline, given, cache) + (_loop(loop, given, cache) if loop else [])
    for what in given.what:
        found = [row for row in rows if row["what"] == what]
        if not found:
            sys.exit(f"{what}: nothing was measured")
        labels_cache.write(given.out / f"{what}.parquet", partial(pq.write_table, pa.Table.from_pylist(found)))
        print(plot.text(what, found))
        plot.save(what, found, given.out / f"ablation_{what}.png")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names, oracles = [*OFFLINE, *LOOP], plugins.names("oracles")
    parser.add_argument("--what", type=partial(_names, names), default=names, help=f"of {','.join(names)}")
    parser.add_argument("--oracles", type=partial(_names, oracles), default=list(oracles), help="default: all")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--emitted", type=int, default=400, help="worlds in a measurement of the loop")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--out", type=Path, required=True, help="folder of tables and pictures")
    parser.add_argument("--cache", type=Path, help="folder of what is finished; default: OUT/cache")
    return parser.parse_args()


def _names(known: Sequence[str], text: str) -> list[str]:
    if unknown := set(given := text.split(",")) - set(known):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    return given


def _offline(chosen: Sequence[str], given: argparse.Namespace, cache: Path) -> list[Row]:
    """A row for each trial and budget, taste by taste."""
    context = multiprocessing.get_context("spawn")
    rows: list[Row] = []
    with ProcessPoolExecutor(given.jobs, context, torch.set_num_threads, (1,)) as pool:
        for oracle in given.oracles if chosen else []:
            list(_results(pool, make_pool, [oracle], cache))
            trials = [
                Trial(what, setting, oracle, seed, ties)
                for seed, what in product(range(given.seeds), chosen)
                for setting, ties in OFFLINE[what]
            ]
            for trial, found in _results(pool, figures, trials, cache):
                rows += [{**vars(trial), "labels": budget, **found[budget]} for budget in BUDGETS]
                print(line(rows[-1]), flush=True)
    return rows


def _results(
    pool: ProcessPoolExecutor, work: Callable[..., Any], tasks: Iterable[Any], cache: Path
) -> Iterator[tuple[Any, Any]]:
    """Each task with what comes of it, as it is finished; a failure ends them all."""
    todo = {pool.submit(work, task, cache): task for task in tasks}
    try:
        for future in as_completed(todo):
            yield todo[future], future.result()
    finally:
        for future in todo:
            future.cancel()


def _loop(chosen: Sequence[str], given: argparse.Namespace, cache: Path) -> list[Row]:
    """A row for each run and budget; settings that ablations share are run once, and what is shipped first."""
    settings = {setting: None for what in chosen for setting in map(tuple, LOOP[what].values())}
    more: dict[str, Any] = {"emitted": given.emitted, "oracles": tuple(given.oracles)}
    runs = {
        (setting, oracle, seed): make_run(['sim.name="lenia"', *setting], seed, oracle, "human", BUDGETS, **more)
        for seed, oracle, setting in product(range(given.seeds), given.oracles, settings)
    }
    first = [run for (setting, *_), run in runs.items() if not setting]
    labels.table(first, cache, given.out / "loop.parquet", given.jobs)
    for run in runs.values():
        _lend_embeddings(run, first[0], cache)
    there = labels.table(list(runs.values()), cache, given.out / "loop.parquet", given.jobs)
    return [row for what in chosen for name in LOOP[what] for row in _of(what, name, runs, there)]


def _lend_embeddings(run: Run, owner: Run, cache: Path) -> None:
    """No variant of a Rewardor in this file embeds differently, so none needs prior worlds simulated again."""
    mine, theirs = Stage(run, cache), Stage(owner, cache).embed.name
    for kept in mine.prior.folder.glob(f"*/{theirs}.*"):
        with suppress(FileExistsError):
            kept.with_name(mine.embed.name + kept.suffix).hardlink_to(kept)


def _of(what: str, name: str, runs: dict[tuple, Run], there: Sequence[Row]) -> list[Row]:
    """The rows of one setting of an ablation."""
    wanted = [labels.described(run) for (setting, *_), run in runs.items() if setting == tuple(LOOP[what][name])]
    mine = [row for row in there if any(row.items() >= one.items() for one in wanted)]
    return [{**row, "what": what, "setting": name, "ties": 0.1} for row in mine]


if __name__ == "__main__":
    main()
