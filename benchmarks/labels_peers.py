"""Other ways to spend a hundred labels, beside ours: the same prior worlds, teacher, labels and number of simulations.

    python -m venv peers && peers/bin/pip install torch==2.13.0 botorch==0.18.1 ribs==0.12.0 imitation==1.0.1
    python -m benchmarks.labels_peers --python peers/bin/python \\
        --oracles movers,edge_of_chaos,symmetry --seeds 3 --out DIR

Peers live in an environment of their own, without which they are named and left out. Finished runs lie in DIR/cache,
or in what --cache names, which this table may share with that of `labels`; an interrupted one goes on where it stopped.

Everyone starts from the same 300 worlds of the prior, asks in rounds of 25 labels, each of which pays for ten worlds;
everyone emits worlds that are simulated with fresh seeds and measured by `pipeline.evaluate.measure`: the dead have
lost. `learn_s` are CPU seconds of choosing pairs, learning and proposing, without simulating, which costs the same.
What each was given, beyond the defaults of its library:

    ours             common and gibbs, as alife runs them
    filter           common; simulates the prior, emits its best 5 % again (best of N)
    eubo_parameters  BoTorch's PairwiseGP on parameters: 25 random pairs, then one pair after another by analytic EUBO
                     over 1000 random pairs of the 40 best and 40 other living worlds, hyperparameters fitted each
                     round; explores by Thompson draws over 1000 random parameters, emits the best 1 % of 20,000 by
                     posterior mean. It has no ties: they are dropped. With each label it is told that some living
                     world beats some dead one, since otherwise it knew nothing of death
    eubo_features    the same on 12 principal components of the features of common; best of N
    bradley_terry    random pairs; L2-regularised logistic regression on all features, its penalty chosen by five
                     folds, ties as half a win; best of N
    imitation        an ensemble of five of its BasicRewardNets on all features, trained by its EnsembleTrainer on its
                     CrossEntropyRewardLoss, ten epochs after each round, ties as half a win; of twice as many random
                     pairs those with the largest variance of logits, by its ActiveSelectionFragmenter; best of N
    convnet          our convnet on clips of 16 frames of 16 x 16, with our choice of pairs; best of N
    cma_es           common with our choice of pairs; pyribs' CMA-ES from the best prior world, sigma 0.2, generations
                     of 15; emits its last distribution
    map_elites       the same with pyribs' grid archive, 12 x 12 on two components, IsoLineEmitter, generations of 15;
                     emits the best quarter of its elites
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks import labels_peers_loops as loops
from benchmarks import labels_peers_models as learners
from benchmarks import labels_peers_search as search
from benchmarks.labels_cache import Rows, digest, source_digest, write
from benchmarks.labels_loop import Loop, Run, Stage, make_run
from benchmarks.labels_table import Row, groups, interval, line
from benchmarks.plot import Plot
from models import Rewardor
from pipeline import evaluate
from pipeline.config import set_value
from pipeline.teachers import make_panel

PARTS = ("sim", "generator", "rewardor")
FIGURES = ("win_alive", "win_raw", "diversity", "learn_s")


EYE = "common"
"""The Rewardor whose features say how different worlds look."""


@dataclass(frozen=True)
class Entry:
    """A way to spend labels.

    Attributes:
        peer: Who answers in another environment, by name in `labels_peers_serve`; "" for nobody.
        loop: Asks and simulates.
        rewardor: Made of the peer; the run's own where None.
        generator: The same.
        base: Name of the run's own Generator.
        fixed: Whether it simulates nothing but the prior, which then is simulated once for all.
        eye: Name of the run's own Rewardor.
    """

    peer: str = ""
    loop: type[Loop] = Loop
    rewardor: Callable[..., Rewardor] | None = None
    generator: type[search.Guest] | None = None
    base: str = "filter"
    fixed: bool = True
    eye: str = EYE


GP = {"peer": "PairwiseGP", "rewardor": learners.Foreign}
ENTRIES = {
    "ours": Entry(base="gibbs", fixed=False),
    "filter": Entry(),
    "bradley_terry": Entry(loop=loops.RandomLoop, rewardor=lambda _: learners.BradleyTerry()),
    "eubo_features": Entry(**GP, loop=loops.EuboLoop),
    "eubo_parameters": Entry(**GP, loop=loops.ParametersLoop, generator=search.Thompson, fixed=False),
    "imitation": Entry("Imitation", loops.ActiveLoop, rewardor=learners.Imitation),
    "convnet": Entry(loop=loops.PlainLoop, eye="convnet"),
    "cma_es": Entry("CmaEs", loops.SearchLoop, generator=search.CmaEs, fixed=False),
    "map_elites": Entry("MapElites", loops.SearchLoop, generator=search.MapElites, fixed=False),
}


def main() -> None:
    """Run what is listed, oracle by oracle within each seed, and print what it says."""
    given = _parse()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    rows: list[Row] = []
    for seed, oracle, name in product(range(given.seeds), given.oracles, given.peers):
        if ENTRIES[name].peer and not given.python:
            print(f"{name} needs --python: left out", file=sys.stderr)
            continue
        try:
            rows.append(_row(given, name, oracle, seed))
        except Exception as error:  # a peer that fails is named and left out
            print(f"{name} {oracle} {seed} failed: {type(error).__name__}: {error}"[:500], file=sys.stderr)
            continue
        print(line(rows[-1]), flush=True)
        write(given.out / "labels_peers.parquet", partial(pq.write_table, pa.Table.from_pylist(rows)))
    if not rows:
        sys.exit("nothing was measured")
    print(text(rows))
    save(rows, given.out / "labels_peers.png")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("peers", ",".join(ENTRIES)), ("oracles", "movers,edge_of_chaos,symmetry")):
        parser.add_argument(f"--{name}", type=lambda text: text.split(","), default=default.split(","))
    parser.add_argument("--sim", default="lenia")
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--every", type=int, default=25, help="labels between two fits")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--emitted", type=int, default=200, help="worlds in a measurement")
    parser.add_argument("--python", help="an interpreter with botorch, ribs and imitation")
    parser.add_argument("--out", type=Path, required=True, help="folder of the table and its picture")
    parser.add_argument("--cache", type=Path, help="folder of what is finished; default: OUT/cache")
    return parser.parse_args()


def _row(given: argparse.Namespace, name: str, oracle: str, seed: int) -> Row:
    entry = ENTRIES[name]
    settings = [f'{part}.name="{it}"' for part, it in zip(PARTS, (given.sim, entry.base, entry.eye), strict=True)]
    more = {"every": given.every, "emitted": given.emitted, "oracles": tuple(given.oracles)}
    run = make_run(settings, seed, oracle, "human", [given.labels], **more)
    described: Row = {"sim": given.sim, "oracle": oracle, "teacher": run.teacher, "every": run.every, "seed": seed}
    described |= {"rewardor": name, "generator": name, "labels": given.labels}
    return described | figures(run, name, given.cache or given.out / "cache", given.python)


def figures(run: Run, name: str, cache: Path, python: str) -> dict[str, float]:
    """See `evaluate.measure`, with `learn_s`; from the disk if they are there."""
    sources = source_digest(*run._sources(), *sorted(Path(__file__).parent.glob("labels_peers*.py")))
    inputs = (name, repr(replace(run, oracles=())))
    rows, (labels,) = Rows(cache / "peers" / f"{digest(inputs, sources)}.json", repr(inputs)), run.budgets
    if labels not in rows.read():
        rows.add(labels, _measure(run, ENTRIES[name], cache, python))
    return rows.read()[labels]


def _measure(run: Run, entry: Entry, cache: Path, python: str) -> dict[str, float]:
    stage = Stage(run, cache)
    standard = stage.reference(run.drawn).standard
    panel = make_panel(run.teacher, standard, seed=run.config.seed, preference=stage.preference)
    with ExitStack() as stack:
        peer = stack.enter_context(closing(learners.Peer(python, entry.peer))) if entry.peer else None
        loop = _loop(entry, stage.loop(run, panel), peer)
        clocks = [learners.Clocked(loop.prior), learners.Clocked(stage.prior if entry.fixed else loop.roll)]
        loop.prior, loop.roll = clocks
        start = time.process_time()
        list(loop.run(run.budgets))
        own = time.process_time() - start - sum(clock.cpu_s for clock in clocks)
        spent = own + (peer.cpu_s if peer else 0.0)
        blind = entry.loop is loops.ParametersLoop  # it rewards parameters, not worlds
        judged = _judge(run, stage, loop, None if blind else loop.rewardor)
        if entry.eye != EYE:
            plain = replace(run, config=set_value(run.config, f'rewardor.name="{EYE}"'))
            judged["diversity"] = _judge(plain, Stage(plain, cache), loop, None)["diversity"]
    return judged | {"learn_s": spent}


def _judge(run: Run, stage: Stage, loop: Loop, rewardor: Rewardor | None) -> dict[str, float]:
    """What the loop's Generator emits now, as seen by the stage."""
    reference = stage.reference(run.drawn)
    panel = make_panel(run.teacher, reference.standard, seed=run.config.seed, preference=stage.preference)
    return evaluate.measure(
        reference,
        stage.roll,
        loop.generator,
        rewardor,
        utility=stage.utility,
        embed=stage.embed,
        seed=loop.seed,
        simulated=len(loop.worlds.unit),
        exam=reference.exam(panel, run.config.seed),
        emitted=run.emitted,
    )


def _loop(entry: Entry, loop: Loop, peer: learners.Peer | None) -> Loop:
    """The entry's loop, with its parts in place of ours."""
    parts = {field.name: getattr(loop, field.name) for field in fields(Loop)}
    if entry.rewardor:
        parts["rewardor"] = entry.rewardor(peer)
    if entry.generator:
        parts["generator"] = entry.generator(loop.generator.dim, loop.seed, peer)
    return entry.loop(**parts)


def text(rows: Sequence[Row]) -> str:
    """Means over oracles and seeds with 95 % intervals, peer by peer."""
    lines = [f"{'':16}{'runs':>5}" + "".join(f"{name:>24}" for name in FIGURES)]
    for (name,), part in groups(rows, ("rewardor",)).items():
        cells = [interval(row[figure] for row in part) for figure in FIGURES]
        shown = "".join(f"{f'{mean:.3f} [{mean - half:.3f}, {mean + half:.3f}]':>24}" for mean, half in cells)
        lines.append(f"{name!s:16}{len(part):>5}{shown}")
    return "\n".join(lines)


def save(rows: Sequence[Row], path: Path) -> None:
    """A picture of how good and how different what each emits is."""
    ticks = (0, 0.2, 0.4, 0.6, 0.8, 1)
    title = "means over oracles and seeds, 95 % intervals"
    plot = Plot(title, "diversity: Vendi score over that of the prior's best", "win_alive", (*ticks, 1.2, 1.4), ticks)
    for (name,), part in groups(rows, ("rewardor",)).items():
        (mean, half), (across, _) = (interval(row[figure] for row in part) for figure in ("win_alive", "diversity"))
        plot.curves[str(name)] = [(across, mean)]
        plot.spans[str(name)] = [(across, mean - half, min(1, mean + half))] if half == half else []
    plot.save(path)


if __name__ == "__main__":
    main()
