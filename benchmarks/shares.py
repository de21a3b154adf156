"""Who gets the CPU while somebody labels: python -m benchmarks.shares [--minutes 4] [--pause 5] [--quick].

First the parts on one thread: simulating, embedding and encoding a world of Lenia, in CPU milliseconds. Then a real
run, `alife run` on a fresh profile with both models training, labeled over HTTP at a person's pace, one answer every
five seconds, which is 720 an hour. From when both models are warm to the end, CPU time is counted by process; an
encoder is a process of its own, which its simulator has to account for when it has ended.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil
import torch

from benchmarks.launcher import Visitor, free_port, kill_tree, launch
from benchmarks.speed_serve import repeats, seconds
from pipeline import film
from pipeline.plugins import load
from pipeline.profile import Profile
from sims import Plan
from sims._torch import ALIVE

RUNS, WORLDS = 5, 64
ROLES = {
    "simulating, embedding, drawing": "ray::_Simulator",
    "training": "RayTrainWorker",
    "Ray Train's controllers": "ray::",
    "Ray's servers": "/ray/",
    "page and driver": "-m pipeline run",
}
"""Words in the command line of a process by what it does; the first that fits."""


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.0, help="how long to label")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds per answer")
    parser.add_argument("--quick", action="store_true", help="one minute")
    parser.add_argument("--parts", action="store_true", help="only the parts")
    args = parser.parse_args()
    _parts()
    if not args.parts:
        _run(60 * (1.0 if args.quick else args.minutes), args.pause)


def _parts() -> None:
    torch.set_num_threads(1)
    sim, rewardor = load("sims", "lenia", {}), load("rewardors", "common", {})
    unit = torch.rand(WORLDS, sim.space.dim, generator=torch.Generator().manual_seed(0))
    made = sim.simulate(unit, torch.arange(WORLDS), Plan())
    alive = unit[made.status == ALIVE].repeat(WORLDS, 1)[:WORLDS]
    clip, seeds = made.clip[made.status == ALIVE][:8], torch.arange(WORLDS)
    filmed = Plan(film_frames=film.FRAMES, film_size=film.SIZE)
    frames = sim.simulate(alive[:4], seeds[:4], filmed).film
    assert frames is not None
    parts = {
        "simulating a world of the prior": (lambda: sim.simulate(unit, seeds, Plan()), WORLDS),
        "simulating one that lives": (lambda: sim.simulate(alive, seeds, Plan()), WORLDS),
        "embedding its clip": (lambda: rewardor.embed(clip), len(clip)),
        "simulating one with a film, four at a time": (lambda: sim.simulate(alive[:4], seeds[:4], filmed), 4),
    }
    for name, (work, worlds) in parts.items():
        print(f"{name:44s} {_median(work) / worlds * 1e3:7.1f} ms", flush=True)
    ours = statistics.median(_encoding(frames[row].numpy()) for row in range(4))
    print(f"{'encoding a film':44s} {ours * 1e3:7.1f} ms", flush=True)


def _median(work) -> float:  # type: ignore[no-untyped-def]
    times = repeats(work)
    return statistics.median(seconds(work, times) for _ in range(RUNS))


def _encoding(frames) -> float:  # type: ignore[no-untyped-def]
    """CPU seconds of this process and of the encoder that it waits for."""
    before = os.times()
    film.encode(frames)
    return sum(os.times()[:4]) - sum(before[:4])


def _run(length: float, pause: float) -> None:
    with tempfile.TemporaryDirectory(prefix="alife-shares-") as folder:
        root = Path(folder) / "profiles"
        root.mkdir()
        visitor = Visitor(free_port())
        process = launch(root, "paced", int(visitor.url.rpartition(":")[2]))
        try:
            profile = _warm(root, visitor)
            before, films, start = _spent(process.pid), len(profile.films().file), time.monotonic()
            while time.monotonic() - start < length:
                visitor.label(1, "left", pause)
            spent = {role: now - before.get(role, 0) for role, now in _spent(process.pid).items()}
            _say(spent, time.monotonic() - start)
            made, labels = len(profile.films().file) - films, len(profile.labels().id)
            print(f"{labels} answers, {made} films, {len(profile.rollouts().id)} worlds in all")
        finally:
            kill_tree(process)


def _warm(root: Path, visitor: Visitor) -> Profile:
    """Wait until the page is there, the prior worlds are, and both models have learned from a first answer."""
    end = time.monotonic() + 300
    while not visitor.up():
        time.sleep(0.2)
    visitor.label(1, "left")
    profile = Profile.open(root, "paced")
    wanted = profile.config.rollouts.prior
    while len(profile.rollouts().id) < wanted or not (profile.held("rewardor") and profile.held("generator")):
        if time.monotonic() > end:
            raise TimeoutError("the run does not get warm")
        time.sleep(0.5)
    visitor.label(2, "right", 2.0)
    return profile


def _spent(pid: int) -> dict[str, float]:
    """CPU seconds so far by role; encoders are the children that simulators have seen ending."""
    spent = dict.fromkeys(["encoding", *ROLES, "other"], 0.0)
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            words, times = " ".join(process.cmdline()), process.cpu_times()
            role = next((role for role, word in ROLES.items() if word in words), "other")
            spent[role] += times.user + times.system
            if role == next(iter(ROLES)):
                spent["encoding"] += times.children_user + times.children_system
    return spent


def _say(spent: dict[str, float], length: float) -> None:
    total = sum(spent.values())
    print(f"\n{total:.1f} s of CPU in {length:.0f} s, {total / length / (os.cpu_count() or 1):.0%} of this machine:")
    for role, cpu in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"{role:32s} {cpu:7.1f} s   {cpu / total:4.0%}")


if __name__ == "__main__":
    main()
