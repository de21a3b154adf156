"""Arguments that many verbs take."""

import os
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path("profiles")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The profile.")]


def _lasting(root: Path) -> Path:
    """Refuse a folder that is lost when a job of a cluster ends: such a job runs in a copy of the code."""
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ and not root.is_absolute():
        raise typer.BadParameter(
            f'"{root}" would end with this job: name storage that all nodes reach, by its full path'
        )
    return root


RootOption = Annotated[
    Path, typer.Option("--root", envvar="ALIFE_ROOT", callback=_lasting, help="Folder of the profiles.")
]
EarlyRootOption = Annotated[Path, typer.Option("--root", envvar="ALIFE_ROOT", help="Folder of the profiles.")]
"""Before the verb, which may still be told another one."""
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="One setting of profile.toml, such as rollouts.prior=600; repeatable."
    ),
]
