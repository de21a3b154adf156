"""Arguments that many verbs take."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline.root import Root, place

ROOT: Root = Path("profiles")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The profile.")]


def place_of(text: str) -> Root:
    """A place by its name, or a message that says what is wrong with it."""
    try:
        return place(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _lasting(root: Root) -> Root:
    """Refuse a folder that is lost when a job of a cluster ends: such a job runs in a copy of the code."""
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ and isinstance(root, Path) and not root.is_absolute():
        raise typer.BadParameter(
            f'"{root}" would end with this job: name storage that all nodes reach, by its full path'
        )
    return root


RootOption = Annotated[
    Root,
    typer.Option(
        "--root",
        metavar="PLACE",
        envvar="ALIFE_ROOT",
        parser=place_of,
        callback=_lasting,
        help="Where the profiles are: a folder, or s3://BUCKET/PREFIX.",
    ),
]
EarlyRootOption = Annotated[
    Root,
    typer.Option("--root", metavar="PLACE", envvar="ALIFE_ROOT", parser=place_of, help="Where the profiles are."),
]
"""Before the verb, which may still be told another one."""
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="One setting of profile.toml, such as rollouts.prior=600; repeatable."
    ),
]
