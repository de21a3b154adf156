"""How much is learned from how many labels: a table of the real loop with programs in the labeler's chair.

    python -m benchmarks.labels --sims lenia,particle_life --oracles movers,symmetry --generators gibbs,filter \\
        --budgets 25,50,100 --seeds 3 --set generator.kl=3 --out DIR

All combinations of what is listed are run, several at a time, and written to DIR/labels.parquet, one row for each run
and budget, with pictures beside it. What `alife run NAME --oracle …` would do takes place in one process each, see
`labels_loop`; the figures are those of its --report, by the same code. Whatever was finished lies in DIR/cache, or in
what --cache names, which tables may share: an interrupted one goes on where it stopped, and a larger one runs only what
is new. A run that fails, say because a taste has nothing to tell these worlds apart by, is named and left out.
"""

import argparse
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks import labels_plot, labels_table
from benchmarks.labels_loop import EMITTED, EVERY, Run, Stage, make_run, measured
from pipeline import plugins
from pipeline.evaluate import RIVALS, STANDARD


def main() -> None:
    """Run all combinations, write them down and print what they say."""
    given = _parse()
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the processes that work: they are as many as there are cores
    runs = combinations(given)
    rows = table(runs, given.cache or given.out / "cache", given.out / "labels.parquet", given.jobs)
    labels_plot.save(rows, given.out)
    print(labels_table.text(rows))
    if missing := len(runs) - len(rows) // len(given.budgets):
        sys.exit(f"{missing} of {len(runs)} runs failed")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (
        ("sims", "lenia"),
        ("oracles", ",".join(plugins.names("oracles"))),
        ("teachers", "human"),
        ("rewardors", "common"),
        ("generators", "gibbs"),
    ):
        parser.add_argument(f"--{name}", type=_names, default=default.split(","), help=f"default: {default}")
    parser.add_argument("--budgets", type=_numbers, default=[25, 50, 100, 200, 300], help="numbers of labels")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--every", type=int, default=EVERY, help="labels between two fits")
    parser.add_argument("--fresh", action="store_true", help="learn each answer before the next question")
    parser.add_argument("--emitted", type=int, default=EMITTED, help="worlds in a measurement")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for alife; repeatable")
    parser.add_argument("--out", type=Path, required=True, help="folder of the table and its pictures")
    parser.add_argument("--cache", type=Path, help="folder of what is finished; default: OUT/cache")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return sorted({int(number) for number in text.split(",")})


def combinations(given: argparse.Namespace) -> list[Run]:
    """The runs of a table; all settings are checked before the first one starts."""
    lists = (given.sims, range(given.seeds), given.rewardors, given.teachers, given.generators, given.oracles)
    runs = []
    for sim, seed, rewardor, teacher, generator, oracle in product(*lists):
        names = [f'sim.name="{sim}"', f'rewardor.name="{rewardor}"', f'generator.name="{generator}"']
        more = {"every": given.every, "fresh": given.fresh, "emitted": given.emitted, "oracles": tuple(given.oracles)}
        runs.append(make_run([*names, *given.set], seed, oracle, teacher, given.budgets, **more))
    return runs


def table(runs: Sequence[Run], cache: Path, path: Path, jobs: int) -> list[labels_table.Row]:
    """One row per run and budget; the file at `path` grows with each run that is finished and did not fail."""
    rows: dict[int, list[labels_table.Row]] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin, (runs, cache)) as pool:
        blocks = _blocks(runs, cache)
        list(_results(pool, _draw, [run for run, _ in blocks], [(run, cache, start) for run, start in blocks]))
        for number, figures in _results(pool, measured, runs, [(run, cache) for run in runs]):
            rows[number] = [{**described(runs[number]), **figure} for figure in figures]
            labels_table.write(_ordered(rows), path)
            print(*map(labels_table.line, rows[number]), sep="\n", flush=True)
    return _ordered(rows)


def _begin(runs: Sequence[Run], cache: Path) -> None:
    """Import what the runs need, and note what it looks like, before somebody edits it while the table grows."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    needed = {repr((run.config.sim, run.config.rewardor, run.config.generator, run.oracle)): run for run in runs}
    for run in needed.values():
        run.rows(cache)
    for run in {run.config.sim.name: run for run in runs}.values():
        Stage(run, cache)


def _end_with_parent() -> None:
    """A killed table leaves nobody at work whose rows nobody would collect."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _ordered(rows: dict[int, list[labels_table.Row]]) -> list[labels_table.Row]:
    """Rows in the order of the runs, whichever was finished first."""
    return [row for _, part in sorted(rows.items()) for row in part]


def _blocks(runs: Sequence[Run], cache: Path) -> list[tuple[Run, int]]:
    """Blocks of prior worlds that unfinished runs will ask for, each once, with one of these runs."""
    wanted: dict[tuple[str, int], Run] = {}
    for run in runs:
        if not set(run.budgets) <= run.rows(cache).read().keys():
            common = repr((run.config.sim, run.config.rewardor, run.config.seed))
            wanted |= {(common, start): run for start in range(0, max(run.drawn, STANDARD), RIVALS)}
    return [(run, start) for (_, start), run in wanted.items()]


def _draw(run: Run, cache: Path, start: int) -> None:
    Stage(run, cache).draw(start)


def _results(
    pool: ProcessPoolExecutor, work: Callable[..., Any], runs: Sequence[Run], given: Sequence[tuple]
) -> Iterator[tuple[int, Any]]:
    """What comes of each piece of work, with its number, as it is finished; a run's failure is printed."""
    todo = {pool.submit(work, *each): number for number, each in enumerate(given)}
    try:
        for future in as_completed(todo):
            if error := future.exception():
                print(f"{labels_table.line(described(runs[todo[future]]))}  failed: {error}", file=sys.stderr)
            else:
                yield todo[future], future.result()
    finally:
        for future in todo:
            future.cancel()


def described(run: Run) -> labels_table.Row:
    """What tells a run from the others in its table."""
    made = run.config
    chosen = {"sim": made.sim, "rewardor": made.rewardor, "generator": made.generator}
    names = {key: _title(plugin.name, plugin.options) for key, plugin in chosen.items()}
    rest: labels_table.Row = {"teacher": run.teacher, "every": run.every, "fresh": int(run.fresh), "seed": made.seed}
    return {**names, "oracle": run.oracle, **rest}


def _title(name: str, options: dict[str, Any]) -> str:
    return name + (f"({', '.join(f'{key}={value}' for key, value in options.items())})" if options else "")


if __name__ == "__main__":
    main()
