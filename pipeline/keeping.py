"""The verbs that keep profiles: fork, compare, tune, archive, export, import, doctor."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.arguments import ROOT, NameArgument, RootOption, SetOption

verbs = typer.Typer()


@verbs.command()
def fork(
    source: Annotated[str, typer.Argument(metavar="NAME", help="The profile to go on from.")],
    name: Annotated[str, typer.Argument(metavar="NEW", help="What to call the new one.")],
    settings: SetOption = None,
    root: RootOption = ROOT,
) -> None:
    """Make a profile that goes on from another's answers.

    It tries another model on the same answers, or other settings; the other profile stays as it is, and what comes to
    it later does not come to the new one.
    """
    from pipeline import shelf

    made = shelf.fork(root, source, name, settings or [])
    print(
        f"Made {made.path}, which goes on from {len(made.labels().id)} labels and {len(made.rollouts().id)} worlds of "
        f"{source}. Next: alife train {name}, or alife run {name}"
    )


@verbs.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="NAME", help="A profile.")],
    second: Annotated[str, typer.Argument(metavar="NAME", help="Another one of the same simulation.")],
    n: Annotated[int, typer.Option("--n", min=2, help="How many worlds of each.")] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Other numbers, other worlds.")] = 0,
    out: Annotated[Path, typer.Option("--out", help="The folder to write the film to.")] = Path("compare"),
    root: RootOption = ROOT,
) -> None:
    """Put the generators of two profiles side by side.

    On the same seeds: how many worlds live, which win by the taste of either, how different they are, and a film.
    """
    from pipeline.profile import Profile

    profiles = Profile.open(root, first), Profile.open(root, second)
    import torch

    torch.set_num_threads(1)  # as simulators do
    from pipeline.compare import TOGETHER, Comparison, same_simulation

    same_simulation(profiles)  # what cannot be compared is refused before a bar begins
    film = out / f"{first}-{second}.mp4"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with typer.progressbar(length=2 * n, label=f"Simulating {n} worlds of each", file=sys.stderr) as bar:
            found = Comparison(profiles, n, seed, bar.update)
        print(found, flush=True)
        with typer.progressbar(length=2 * min(n, TOGETHER), label="Filming some of each", file=sys.stderr) as bar:
            film.write_bytes(found.film(bar.update))
    except OSError as error:
        raise typer.BadParameter(f"nothing can be written to {out}: {error.strerror}") from None
    print(f"Film: {film}")


@verbs.command()
def tune(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Profiles whose models are the same.")],
    role: Annotated[str, typer.Option("--role", metavar="rewardor|generator", help="Only this model.")] = "",
    trials: Annotated[int, typer.Option("--trials", min=2, help="How many options to try for each model.")] = 16,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="How long to try, in all.")] = 30.0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to keep what was measured.  [default: .tune in the root]")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Then write what was found into the profiles.")] = False,
    root: RootOption = ROOT,
) -> None:
    """Search for better options of both models, by the answers in some profiles.

    A rewardor is tested by answers about worlds it has not met, a generator by what it makes. Profiles are only read,
    and may be running; when a search was interrupted, the same command goes on.
    """
    from pipeline import checkpoint, plugins

    if role and role not in checkpoint.ROLES:
        hint = plugins.meant(role, checkpoint.ROLES)
        raise typer.BadParameter(f'unknown model "{role}"{hint}; allowed: {", ".join(checkpoint.ROLES)}')
    from pipeline import tuning

    roles = tuple(each for each in checkpoint.ROLES if role in ("", each))
    tuning.run(root.resolve(), names, roles, trials=trials, minutes=minutes, out=out, apply=apply)


@verbs.command()
def archive(
    name: NameArgument,
    back: Annotated[bool, typer.Option("--back", help="Put it back into the list.")] = False,
    root: RootOption = ROOT,
) -> None:
    """Leave a profile out of the list; nothing of it is deleted."""
    from pipeline import shelf

    shelf.archive(root, name, back=back)
    print(f"{name} is listed again." if back else f"{name} is archived; to put it back: alife archive {name} --back")
    if not back and shelf.running(root, name):
        print("Somebody runs it now, and that goes on.")


@verbs.command("export")
def export_(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write, such as taste.zip.")],
    root: RootOption = ROOT,
) -> None:
    """Pack a profile into one file.

    All that it went on from is in it, its key is not.
    """
    from pipeline import parcel
    from pipeline.profile import Profile

    profile = Profile.open(root, name)
    count = _Count("packed")
    parcel.pack(profile, file, count.step)
    for problem in profile.problems():
        print(f"Left out: {problem}", file=sys.stderr)
    print(f"Packed {count.files} files into {file}, {file.stat().st_size / 1e6:.1f} MB. To unpack: alife import {file}")


@verbs.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that alife export wrote.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it; as it was called, if not given.")] = "",
    trust: Annotated[
        bool, typer.Option("--trust", help="It may name programs, and code that is not in the catalogue.")
    ] = False,
    root: RootOption = ROOT,
) -> None:
    """Unpack a profile from such a file.

    What could do harm is refused, and then nothing is left of it.
    """
    from pipeline import parcel

    profile = parcel.unpack(root, file, name, trust=trust, done=_Count("unpacked").step)
    labels, worlds = len(profile.labels().id), len(profile.rollouts().id)
    print(f"Made {profile.path} with {labels} labels and {worlds} worlds. Next: alife run {profile.name}")


@verbs.command()
def doctor(
    name: NameArgument,
    repair: Annotated[
        bool, typer.Option("--repair", help="Move damaged files to quarantine/; nothing is edited or deleted.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    root: RootOption = ROOT,
) -> None:
    """Look at every file of a profile: what is damaged or missing, and whether anything is lost.

    Exit status 0: all is well; 1: something is damaged or missing, or lies in quarantine. It changes nothing without
    --repair, and may be used while the profile runs.
    """
    from pipeline import doctor as work

    report = work.examine(root, name, _Count("looked at").step)
    moved = work.repair(report) if repair else []
    print(json.dumps(work.as_json(report, moved), indent=2) if as_json else work.tell(report, moved, asked=repair))
    raise typer.Exit(1 if report.damage else 0)


class _Count:
    """Says now and then how many files are done, to those who watch."""

    EVERY = 100

    def __init__(self, what: str) -> None:
        self.what, self.files = what, 0

    def step(self, files: int) -> None:
        """Some more are done."""
        before, self.files = self.files, self.files + files
        if before // self.EVERY < self.files // self.EVERY:
            print(f"{self.files} files {self.what} …", file=sys.stderr, flush=True)
