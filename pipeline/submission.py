"""The verb that runs a profile on a cluster instead of here."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.arguments import NameArgument, place_of
from pipeline.root import Root

verbs = typer.Typer()
TREE = Path(__file__).parents[1]
"""The code that goes to the cluster."""
DASHBOARD = "http://127.0.0.1:8265"


@verbs.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def submit(
    context: typer.Context,
    name: NameArgument,
    root: Annotated[
        Root | None,
        typer.Option(
            "--root",
            metavar="PLACE",
            parser=place_of,
            help="Where the profiles are, seen from there.  [default: the cluster's ALIFE_ROOT]",
        ),
    ] = None,
    address: Annotated[
        str, typer.Option("--address", envvar="RAY_API_SERVER_ADDRESS", help="The cluster's dashboard.")
    ] = DASHBOARD,
) -> None:
    """Run a profile on a cluster, with this code and with any option of `alife run`.

    The cluster is one that `ray up cluster.yaml` started, and what it keeps stays there.
    """
    from pipeline import cluster, config

    assert context.parent
    run = context.parent.command.commands["run"]  # type: ignore[attr-defined]
    words = [name, *context.args]
    meant = run.make_context("run", list(words), parent=context.parent).params  # says what is wrong before it travels
    config.check_name(meant["name"])
    before = context.parent.get_parameter_source("root")  # alife --root … submit
    if before and before.name == "COMMANDLINE":
        root = root or context.parent.params["root"]
    if root:
        words += ["--root", str(_there(root))]
    if not (TREE / "cluster.yaml").is_file():
        raise typer.BadParameter(f"the code in {TREE} is installed for good: submit from a checkout of the project")
    print(f"Sending the code in {TREE} to {address} …", flush=True)
    job = cluster.submit(["python", "-m", "pipeline", "run", *words], meant["name"], TREE, address)
    print(_next_steps(job, address, 0 if meant["oracle"] else meant["port"]))


def _there(root: Root) -> Root:
    if isinstance(root, Path) and not root.is_absolute():
        raise typer.BadParameter(
            f'"{root}" would end with the job: name storage that all nodes reach by its full path, or leave --root out '
            "where the cluster names it (ALIFE_ROOT)"
        )
    return root


def _next_steps(job: str, address: str, port: int) -> str:
    """What to do with a job, for people; `port` is 0 where it serves no page."""
    ray = f"RAY_AUTH_MODE=token ray job {{}} {job} --address {address}"
    lines = [f"Submitted as {job}.", f"  follow it:  {ray.format('logs -f')}", f"  stop it:    {ray.format('stop')}"]
    if port:
        lines.append(f"  its page:   http://127.0.0.1:{port} while this is open:  ray attach cluster.yaml -p {port}")
    return "\n".join(lines)
