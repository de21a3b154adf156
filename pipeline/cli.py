"""The command line: what can be said, and what is answered when it is said wrong.

Whatever takes long to import is imported by the verb that needs it, so that help comes at once.
"""

import errno
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from pipeline import keeping, submission
from pipeline.arguments import ROOT, EarlyRootOption, NameArgument, RootOption, SetOption

if TYPE_CHECKING:
    from pipeline.profile import Profile
    from sims import Simulation

ROLES: tuple[Literal["rewardor", "generator"], ...] = ("rewardor", "generator")
HOST, EVERYWHERE, PORT = "127.0.0.1", "0.0.0.0", 7860
ABOUT = """Learn what people find worth watching in artificial life.

Without a verb: asks which profile, and what to do with it."""


class Verbs(TyperGroup):
    """Verbs that, when one is wrong, say which are right."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that was typed."""
        from pipeline.plugins import meant

        if not args[0].startswith("-") and args[0] not in self.commands:
            ctx.fail(f'unknown verb "{args[0]}"{meant(args[0], self.commands)}; allowed: {", ".join(self.commands)}')
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=Verbs, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, help=ABOUT)

app.add_typer(keeping.verbs)
app.add_typer(submission.verbs)

FILES = (".py", ".toml")
"""What names a file: code, or the description of a program."""

PluginHelp = "in the catalogue, or code from outside: package.module:Class or a .py file"
SimArgument = Annotated[str, typer.Argument(metavar="SIM", help=f"A simulation: {PluginHelp}, or of a program, .toml.")]
SimSetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One of its options, such as size=64; repeatable."),
]
HostOption = Annotated[str, typer.Option("--host", help="Address of the page.")]
SharedHostOption = Annotated[
    str | None,
    typer.Option("--host", help=f"Address of the page.  [default: {HOST}; with --share, {EVERYWHERE}]"),
]
ShareOption = Annotated[
    bool,
    typer.Option(
        "--share",
        help="Let others label too: print one link for all, public where the internet allows, and a QR code. "
        "Whoever comes needs its key; only your own link makes an owner.",
    ),
]
PortOption = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the page.")]


def main() -> None:
    """Run the command line. A mistake of whoever typed is one message and exit status 2, never a traceback."""
    try:
        app(prog_name="alife")
    except Exception as error:
        if not isinstance(error, _mistakes()) or (isinstance(error, OSError) and not error.filename):
            raise
        told = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
        print(f"alife: {told}", file=sys.stderr)
        sys.exit(2)


def _mistakes() -> tuple[type[Exception], ...]:
    from pipeline.checkpoint import CheckpointError
    from pipeline.config import ConfigError
    from pipeline.plugins import PluginError
    from pipeline.profile import ProfileError
    from pipeline.store import StoreError

    disk = PermissionError, NotADirectoryError, IsADirectoryError  # a folder that is another one than was meant
    return CheckpointError, ConfigError, PluginError, ProfileError, StoreError, *disk


@app.callback(invoke_without_command=True)
def launch(context: typer.Context, root: EarlyRootOption = ROOT) -> None:
    """Take --root before the verb as well as after it; without a verb, ask."""
    os.environ["ALIFE_ROOT"] = str(root)
    if context.invoked_subcommand is not None:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(context.get_help())
        return
    from pipeline import launcher

    try:
        verb, name = launcher.choose(root)
    except (EOFError, KeyboardInterrupt):
        print()
        return
    print(f"\nalife {verb} {name}\n", flush=True)
    verbs: dict[str, Callable[..., None]] = {"run": run, "label": label, "train": train, "browse": browse}
    verbs[verb](name, root=root)


@app.command()
def new(
    name: NameArgument,
    sim: Annotated[str, typer.Option("--sim", help=f"Simulation: {PluginHelp}, or of a program, .toml.")] = "",
    generator: Annotated[str, typer.Option("--generator", help=f"What proposes worlds: {PluginHelp}.")] = "",
    rewardor: Annotated[str, typer.Option("--rewardor", help=f"What learns the taste: {PluginHelp}.")] = "",
    settings: SetOption = None,
    root: RootOption = ROOT,
) -> None:
    """Make a profile."""
    from pipeline import shelf

    chosen = {"sim": sim, "generator": generator, "rewardor": rewardor}
    parts = [_part(section, plugin) for section, plugin in chosen.items() if plugin]
    path = shelf.create(root, name, [*parts, *(settings or [])]).path
    print(f"Made {path}. Its settings: {path / 'profile.toml'}. Next: alife run {name}")


def _part(section: str, plugin: str) -> str:
    """The setting that names a plug-in; a file by its full path, since a profile outlives the folder one is in."""
    name = str(Path(plugin).resolve()) if plugin.endswith(FILES) else plugin
    return f"{section}.name={json.dumps(name)}"


@app.command("list")
def list_(
    archived: Annotated[bool, typer.Option("--all", help="Those that were archived too.")] = False,
    root: RootOption = ROOT,
) -> None:
    """List the profiles."""
    from pipeline import shelf

    print(shelf.table(root, archived=archived))


@app.command()
def run(
    name: NameArgument,
    settings: SetOption = None,
    oracle: Annotated[
        str,
        typer.Option(
            "--oracle",
            help="Let a program label, then end: movers, edge_of_chaos, symmetry, pulsation, colour, persistence, "
            "needle, niche, two_tastes, intransitive or package.module:Class.",
        ),
    ] = "",
    labels: Annotated[int | None, typer.Option("--labels", min=1, help="How many it labels.  [default: 100]")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="The seed of a new profile.  [default: 0]")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Where to write what was measured, as JSON.")] = None,
    share: ShareOption = False,
    host: SharedHostOption = None,
    port: PortOption = PORT,
    root: RootOption = ROOT,
) -> None:
    """Label while both models train. A profile that does not exist is made."""
    from pipeline import plugins, shelf

    _refuse_alone(oracle, {"--labels": labels, "--report": report})
    if oracle and share:
        raise typer.BadParameter("--share means nothing together with --oracle: a program labels alone")
    if report and (report.is_dir() or not report.absolute().parent.is_dir()):
        raise typer.BadParameter(f"the report needs a file in a folder that is there, and not {report.absolute()}")
    if oracle:
        plugins.check_name("oracles", oracle)
    seeded = [] if seed is None else [f"seed={seed}"]
    profile = shelf.open_or_create(root, name, [*seeded, *(settings or [])])
    if not oracle:
        _serve(profile, train=True, host=host, port=port, tab="label", share=share)
        return
    from pipeline import run as work

    work.unattended(root.resolve(), name, oracle, labels or 100, report)


def _refuse_alone(oracle: str, options: dict[str, Any]) -> None:
    alone = [option for option, value in options.items() if value is not None]
    if alone and not oracle:
        raise typer.BadParameter(f"{' and '.join(alone)} can only be given together with --oracle")


@app.command()
def label(
    name: NameArgument,
    settings: SetOption = None,
    share: ShareOption = False,
    host: SharedHostOption = None,
    port: PortOption = PORT,
    root: RootOption = ROOT,
) -> None:
    """Label only: worlds are simulated, nothing trains."""
    from pipeline import shelf

    profile = shelf.opened(root, name, settings or [])
    _serve(profile, train=False, host=host, port=port, tab="label", share=share)


@app.command()
def train(
    name: NameArgument,
    role: Annotated[str, typer.Argument(metavar="rewardor|generator", help="Only this model.")] = "",
    settings: SetOption = None,
    root: RootOption = ROOT,
) -> None:
    """Train on what is there, until nothing is due."""
    from pipeline import plugins, shelf

    if role and role not in ROLES:
        raise typer.BadParameter(f'unknown model "{role}"{plugins.meant(role, ROLES)}; allowed: {", ".join(ROLES)}')
    shelf.opened(root, name, settings or [])
    from pipeline import run as work

    work.train(root.resolve(), name, tuple(each for each in ROLES if role in ("", each)))


@app.command()
def browse(
    name: NameArgument,
    host: HostOption = HOST,
    port: PortOption = PORT,
    root: RootOption = ROOT,
) -> None:
    """Watch fresh worlds of the generator, and keep those you like."""
    from pipeline import shelf

    profile = shelf.opened(root, name)
    _serve(profile, train=False, host=host, port=port, tab="browse")


def _serve(
    profile: "Profile",
    *,
    train: bool,
    host: str | None,
    port: int,
    tab: Literal["label", "browse"],
    share: bool = False,
) -> None:
    host = host or (EVERYWHERE if share else HOST)
    if tab == "browse" or not profile.held("page"):  # whoever holds the page has the port, and is the better reason
        _refuse_taken(host, port)
    from pipeline import run as work

    work.serve(profile.root.resolve(), profile.name, train=train, host=host, port=port, tab=tab, share=share)


def _refuse_taken(host: str, port: int) -> None:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        hint = f" Another port: --port {port + 1}" if error.errno == errno.EADDRINUSE else ""
        raise typer.BadParameter(f"no page can be served at {host}:{port}: {error.strerror}.{hint}") from None


@app.command()
def rank(
    name: NameArgument,
    worlds: Annotated[int, typer.Option("--worlds", min=2, max=12, help="How many: the best so far.")] = 4,
    top: Annotated[
        int | None, typer.Option("--top", min=1, max=1, help="1: find the best of them only, not their order.")
    ] = None,
    state: Annotated[bool, typer.Option("--status", help="Only say how far it is, as JSON.")] = False,
    end: Annotated[bool, typer.Option("--end", help="Give up, or put the result away.")] = False,
    host: HostOption = HOST,
    port: PortOption = PORT,
    root: RootOption = ROOT,
) -> None:
    """Compare the best worlds until it is established which is the best (of up to 12), or their order (of up to 5).

    What people answer on the Label page counts, and teaches like any other label. A claim is wrong in at most one of
    twenty cases, however often one looks.
    """
    from pipeline import run as work
    from pipeline import shelf

    profile = shelf.opened(root, name)
    if not (state or end):
        try:
            work.begin_contest(profile, "best" if top else "order", worlds)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    facts = work.contest_facts(profile, end=end)
    print(json.dumps(facts, indent=2) if state else work.tell_contest(facts))
    if state or end:
        return
    if profile.held("page"):
        print("The page of this profile is open already: the pairs that it shows next are these.")
    elif not facts["established"]:
        _serve(profile, train=False, host=host, port=port, tab="label")


@app.command()
def status(
    name: NameArgument,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    root: RootOption = ROOT,
) -> None:
    """Say what there is in a profile, and who runs it."""
    from pipeline import run as work

    facts = work.status(root, name)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    facts["sureness"] = work.tell_sureness(facts["sureness"])
    lines = {"labelers": map(work.tell_labeler, facts["labelers"]), "problems": facts["problems"]}
    facts |= {key: ("\n" + 11 * " ").join(each) or "none" for key, each in lines.items()}
    print("\n".join(f"{key:<10} {_say(value)}" for key, value in facts.items()))


def _say(value: Any) -> str:
    """A value of a status, for people."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_say(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_say, value)) or "none"
    return str(value)


@app.command()
def check(
    sim: SimArgument,
    settings: SimSetOption = None,
) -> None:
    """Check that a simulation keeps the contract.

    Among it: a world depends on its own parameters and seed alone, films show what happens, statuses tell the truth.
    """
    loaded = _simulation(sim, settings)
    from sims import check_simulation

    print(f"Simulating some worlds of {sim}, again and again …", flush=True)
    broken = check_simulation(loaded)
    if broken:
        print("\n".join(f"- {promise}" for promise in broken))
        raise typer.Exit(1)
    print("It keeps the contract of simulations.")


def _simulation(sim: str, settings: list[str] | None) -> "Simulation":
    from pipeline import config, plugins

    chosen = config.Config()
    for setting in [_part("sim", sim), *(f"sim.{setting}" for setting in settings or [])]:
        chosen = config.set_value(chosen, setting)
    loaded: Simulation = plugins.load("sims", chosen.sim.name, chosen.sim.options)
    import torch

    torch.set_num_threads(1)  # As simulators do: on a busy machine more threads wait for each other most of the time.
    return loaded


@app.command()
def gallery(
    sim: SimArgument,
    n: Annotated[int, typer.Option("--n", min=1, help="How many worlds.")] = 64,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Other numbers, other worlds.")] = 0,
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")] = Path("gallery"),
    alive: Annotated[bool, typer.Option("--alive", help="Leave out worlds that do not live.")] = False,
    settings: SimSetOption = None,
) -> None:
    """Look at random worlds of a simulation: a contact sheet, and a film of those that live."""
    loaded = _simulation(sim, settings)
    from pipeline import gallery as work

    name = Path(sim).stem if sim.endswith(FILES) else sim.rpartition(":")[2]
    picture, film = out / f"{name}.png", out / f"{name}.mp4"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with typer.progressbar(length=n, label=f"Simulating {n} worlds", file=sys.stderr) as bar:
            worlds = work.look(loaded, n, seed, bar.update)
        work.sheet(f"{name}: {n} random worlds, {worlds.shares()}", worlds, alive_only=alive).save(picture)
        if worlds.alive:
            filmed = min(work.TOGETHER, len(worlds.alive))
            with typer.progressbar(length=filmed, label=f"Filming {filmed} that live", file=sys.stderr) as bar:
                film.write_bytes(work.play(loaded, worlds, bar.update))
    except OSError as error:
        raise typer.BadParameter(f"nothing can be written to {out}: {error.strerror}") from None
    print("\n".join([f"{name}: {worlds.shares()}", *worlds.causes(), f"Sheet: {picture}"]))
    print(f"Film:  {film}" if worlds.alive else "Film:  none, since no world lives")
