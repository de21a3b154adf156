"""What requests to the page may contain."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Token = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[\w.-]+$")]
Rollout = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w-]+$")]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Person = Annotated[str, Field(min_length=1, max_length=64)]
Plugin = Annotated[str, Field(min_length=1, max_length=64)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Pairs(_Request):
    """More pairs, please."""

    want: Annotated[int, Field(ge=0, le=8)]
    have: Annotated[list[Token], Field(max_length=12)] = []


def _at_most(bound: int) -> AfterValidator:
    """What is merely large is no reason to refuse an answer: somebody left the page open over a weekend."""
    return AfterValidator(lambda value: min(value, bound))


class Vote(_Request):
    """An answer to a pair."""

    token: Token
    answer: Literal["left", "right", "tie", "neither", "skip"]
    response_ms: Annotated[int, Field(ge=0), _at_most(24 * 3600 * 1000)]
    replays: Annotated[int, Field(ge=0), _at_most(1000)] = 0


class Browse(_Request):
    """Fresh worlds, please."""

    count: Annotated[int, Field(ge=1, le=48)]
    order: Literal["best", "random"]


class Save(_Request):
    """Keep a world."""

    rollout: Rollout


class Contest(_Request):
    """Find the best of a ranking's first worlds, or their order."""

    goal: Literal["order", "best"]
    count: Annotated[int, Field(ge=2, le=12)]
    by: Literal["people", "rewardor"]


class Training(_Request):
    """Start or pause a model's training."""

    role: Literal["rewardor", "generator"]
    run: bool


class Open(_Request):
    """Run another profile."""

    name: Name


class Create(_Request):
    """Make a profile and run it."""

    name: Name
    sim: Plugin
    rewardor: Plugin
    generator: Plugin


class Join(_Request):
    """Let me in."""

    key: Annotated[str, Field(min_length=1, max_length=64)]
    name: Annotated[str, Field(max_length=200)] = ""


class Exclude(_Request):
    """Let somebody label no more."""

    person: Person
    labels: bool


class Readmit(_Request):
    """Let somebody label again."""

    person: Person
