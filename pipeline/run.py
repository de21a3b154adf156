"""What the verbs of the command line do. Each is short: the files know what is due, these only start who does it."""

from pathlib import Path
from typing import Literal

from pipeline.checkpoint import Role
from pipeline.ending import end_well, unhurried
from pipeline.profile import Profile
from pipeline.root import Root
from pipeline.standing import Goal

Tab = Literal["label", "browse"]
WAITS = "the worlds that people judged have to be simulated again for it to see them: alife run {}"


def serve(
    root: Root,
    name: str,
    *,
    train: bool,
    port: int = 7860,
    host: str = "127.0.0.1",
    tab: Tab = "label",
    share: bool = False,
) -> None:
    """Serve the page of a profile until the process is told to end.

    The page comes first: everything else starts beside it, and the page says how far it is.

    Args:
        root: Where the profiles are.
        name: The profile.
        train: Whether both models train meanwhile.
        port: Where the page is.
        host: Address to listen on.
        tab: What the page opens with; with "browse" no world is made unless somebody asks for it.
        share: Whether others may come, with a key.

    Raises:
        ProfileBusyError: Another process serves or trains this profile.
        ConfigError: Other machines could reach `host`, and the page is not shared.
    """
    from pipeline.app import server

    server.check_host(host, share=share)
    end_well()
    from pipeline import cluster
    from pipeline.studio import RunningStudio

    studio = RunningStudio(root, Profile.open(root, name), train=train, feed=tab == "label")
    try:
        studio.start()
        if not share:  # else it has more to say
            print(f"Starting; the page will be at http://{host}:{port}", flush=True)
        server.serve(studio, host=host, port=port, tab=tab, share=share)
    finally:
        with unhurried():
            studio.close()
            cluster.stop()


def train(root: Root, name: str, roles: tuple[Role, ...]) -> None:
    """Train models of a profile on what is there, and return when nothing is due.

    Raises:
        ProfileBusyError: Another process trains this profile.
    """
    from pipeline import cluster, loop
    from pipeline import train as training

    profile = Profile.open(root, name)
    due = {"rewardor": loop.due_fit, "generator": loop.due_tell}
    end_well()
    try:
        with profile.claim("train"):
            for role in roles:  # a rewardor is news to the generator, so it goes first
                if not due[role](profile):
                    waits = role == "rewardor" and loop.waits_for_embeddings(profile)
                    print(f"{role}: {WAITS.format(name) if waits else 'nothing is due'}")
                    continue
                cluster.start()
                job = training.start(str(root.resolve()), name, role, cpus=1.0, once=True)
                training.wait(job)
                print(f"{role}: now at version {newest(profile, role)}")
    finally:
        with unhurried():
            cluster.stop()


def unattended(root: Root, name: str, oracle: str, labels: int, report: Path | None) -> None:
    """Let a program answer until there are `labels` labels; see `pipeline.unattended.run`.

    Raises:
        ProfileBusyError: Another process trains this profile.
    """
    from pipeline import unattended as work

    end_well()
    work.run(root, name, oracle, labels, report)


def newest(profile: Profile, role: Role) -> int:
    """The newest version of a model, 0 before the first."""
    from pipeline import loop

    manifest = loop.newest(profile, role)
    return manifest.number if manifest else 0


def status(root: Root, name: str) -> dict:
    """What there is in a profile, who runs it and who answers, for people and for scripts."""
    from pipeline import foresight, shelf
    from pipeline.panel import panel

    profile = Profile.open(root, name)
    rollouts, config = profile.rollouts(), profile.config
    statuses = {status: int((rollouts.status == status).sum()) for status in sorted(set(rollouts.status.tolist()))}
    return {
        "profile": name,
        "sim": config.sim.name,
        "rewardor": {"name": config.rewardor.name, "version": newest(profile, "rewardor")},
        "generator": {"name": config.generator.name, "version": newest(profile, "generator")},
        "labels": len(profile.labels().id),
        "worlds": statuses,
        "films": len(profile.films().file),
        "saved": len(profile.saved()),
        "sureness": {key: value for key, value in foresight.facts(profile).items() if key != "recent"},
        "labelers": panel(profile),
        "running": shelf.running(root, name),
        "problems": profile.problems(),
    }


MANNERS = {
    "few": "too few answers to tell",
    "alike": "answers like the others",
    "unlike": "often unlike the others",
    "opposite": "often the opposite",
    "left": "favors the left",
    "right": "favors the right",
    "random": "often at random",
}


def tell_labeler(row: dict) -> str:
    """A row of `pipeline.panel.panel`, for people."""
    guessed = [f"{row['foreseen']} of {row['asked']} as the rewardor expected"] if row["asked"] else []
    manner = [MANNERS[each] for each in row["manner"]]
    return f"{row['name'] or row['labeler']}: " + ", ".join([f"{row['answers']} answers", *guessed, *manner])


def tell_sureness(facts: dict) -> str:
    """What `pipeline.foresight.facts` says, for people: chances only where they are known to come true."""
    if facts["verdict"] == "few":
        return f"still learning how sure it may be: {facts['answers']} of {facts['fewest']} answers"
    word = {"true": "chances come true", "bold": "surer than it should be", "shy": "right more often than it says"}
    error = f"off by {facts['calibration_error']:.0%} on average, over {facts['answers']} answers"
    return f"{word[facts['verdict']]}, {error}"


def begin_contest(profile: Profile, goal: Goal, count: int) -> None:
    """Go on comparing the best worlds in the eyes of people, or begin to.

    Raises:
        ValueError: There are too few of them, or too many are asked for.
        StoreError: It could not be saved.
    """
    from pipeline import contest
    from pipeline.app.scores import leaders

    contest.resume(profile, goal, leaders(profile, "people", count))


def contest_facts(profile: Profile, *, end: bool = False) -> dict:
    """How far the newest contest is, empty where there is none; `end` puts it away."""
    from pipeline import contest

    now = contest.state(profile)
    if end:
        contest.stop(profile)
    return now.facts() if now else {}


def tell_contest(facts: dict) -> str:
    """The same for people."""
    if not facts:
        return "No contest was begun."
    what = "the best" if facts["goal"] == "best" else "the order"
    how = "established" if facts["established"] else f"open, {facts['odds']:.0f} to 1 of 20 to 1"
    go = (
        ""
        if facts["established"]
        else f", {'many' if facts['to_go'] is None else 'about ' + str(facts['to_go'])} to go"
    )
    head = f"{what} of {len(facts['worlds'])} worlds: {how} after {facts['answers']} answers{go}"
    lines = [f"{'certain' if each['settled'] else 'open':<8}{each['rollout']}" for each in facts["worlds"]]
    return "\n".join([head[0].upper() + head[1:], *lines])
