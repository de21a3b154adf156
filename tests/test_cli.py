import json
import os
import pty
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli, plugins, run, shelf
from pipeline.census import listing
from pipeline.profile import Profile

KEEPING = ("fork", "compare", "archive", "export", "import")
VERBS = (*KEEPING, "new", "list", "run", "label", "train", "browse", "rank", "status", "check", "gallery")

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the profiles of a test are."""
    monkeypatch.setenv("ALIFE_ROOT", str(tmp_path / "profiles"))
    return tmp_path / "profiles"


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, Any]]:
    """What the verbs ask to be done, instead of doing it."""
    asked: list[tuple[str, Any, Any]] = []
    monkeypatch.setattr(cli, "_refuse_taken", lambda *_: None)  # somebody may be using this machine
    for name in ("serve", "train", "unattended"):
        monkeypatch.setattr(run, name, lambda *args, _name=name, **how: asked.append((_name, args, how)), raising=False)
    return asked


def keys(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """Somebody at a terminal who types these lines, and leaves after the last."""
    lines: Iterator[str] = iter(answers)

    def type_next(prompt: str = "") -> str:
        print(prompt, end="")
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", type_next)
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)


# -- help -------------------------------------------------------------------------------------------------------------


def test_help_names_all_verbs(alife: Call) -> None:
    status, out, _ = alife("--help")
    assert status == 0
    assert all(f"\n  {verb} " in out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(alife: Call, verb: str) -> None:
    status, out, _ = alife(verb, "--help")
    assert status == 0
    assert f"Usage: alife {verb}" in out


def test_help_names_all_oracles(alife: Call) -> None:
    _, out, _ = alife("run", "--help")
    assert all(oracle in out for oracle in plugins.names("oracles"))


def test_help_comes_at_once() -> None:
    heavy = "{'torch', 'ray', 'gradio', 'pyarrow', 'numpy', 'pydantic'}"
    code = (
        f"import sys, pipeline.cli as cli; print({heavy} & sys.modules.keys()); sys.argv = ['', '--help']; cli.main()"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert out.startswith("set()")
    # processor time: what the clock on the wall says depends on who else is busy
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_python_m_pipeline_is_the_same() -> None:
    both = [[str(Path(sys.executable).with_name("alife"))], [sys.executable, "-m", "pipeline"]]
    said = {subprocess.run(start, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout for start in both}
    assert len(said) == 1
    assert "Usage: alife" in said.pop()  # nobody to ask: help instead of questions


# -- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "given", "meant", "allowed"),
    [
        (["lsit"], "lsit", "list", "browse"),
        (["status", "defautl"], "defautl", "default", "there are: default"),
        (["train", "default", "rewarder"], "rewarder", "rewardor", "generator"),
        (["new", "x", "--sim", "lena"], "lena", "lenia", "there are:"),
        (["new", "x", "--generator", "fliter"], "fliter", "filter", "gibbs"),
        (["new", "x", "--set", "rollout.prior=3"], "rollout", "rollouts", "allowed"),
        (["new", "x", "--set", "rollouts.piror=3"], "piror", "prior", "per_label"),
        (["new", "x", "--set", "sim.sise=64"], "sise", "size", "allowed"),
        (["new", "x", "--set", "rollouts.prior=0"], "0", "prior", "greater than or equal to 1"),
        (["new", "x", "--set", "rollouts.prior"], "rollouts.prior", "rollouts.prior", "key=value"),
        (["new", "My Worlds"], "My Worlds", "my-worlds", "a-z"),
        (["new", "default"], "default", "alife run default", "already"),
        (["run", "default", "--oracle", "mover"], "mover", "movers", "symmetry"),
        (["run", "default", "--labels", "9"], "--labels", "--oracle", "together"),
        (["run", "default", "--lables", "9"], "--lables", "--labels", "No such option"),
        (["check", "no_such.py"], "no_such.py", "no_such.py", "no such file"),
    ],
)
def test_mistakes_are_one_message(alife: Call, words: list[str], given: str, meant: str, allowed: str) -> None:
    assert alife("new", "default")[0] == 0
    status, _, err = alife(*words)
    assert status == 2
    assert given in err
    assert meant in err
    assert allowed in err
    assert "Traceback" not in err


def test_a_bug_is_not_called_a_mistake(alife: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "table", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        alife("list")


def test_a_damaged_configuration_is_named(alife: Call, root: Path) -> None:
    alife("new", "good")
    alife("new", "bad")
    (root / "bad" / "profile.toml").write_text("seed = -1")
    assert alife("status", "bad")[0] == 2
    status, out, _ = alife("list")
    assert status == 0
    assert "good" in out
    assert "seed is -1" in out


def test_the_second_of_a_role_is_told_who_holds_it(alife: Call, root: Path) -> None:
    alife("new", "mine")
    with Profile.open(root, "mine").claim("train"):
        status, _, err = alife("train", "mine")
    assert status == 2
    assert f"process {os.getpid()}" in err


def test_a_taken_port_is_named_before_anything_starts(alife: Call) -> None:
    alife("new", "mine")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, _, err = alife("label", "mine", "--port", str(port))
    assert status == 2
    assert f"127.0.0.1:{port}" in err
    assert f"--port {port + 1}" in err


# -- verbs ------------------------------------------------------------------------------------------------------------


def test_new_takes_parts_and_settings(alife: Call, root: Path) -> None:
    alife("new", "mine", "--generator", "filter", "--set", "seed=7", "--set", "rollouts.prior=50")
    chosen = Profile.open(root, "mine").config
    assert (chosen.generator.name, chosen.seed, chosen.rollouts.prior) == ("filter", 7, 50)
    assert chosen.sim.name == "lenia"


def test_a_file_of_ones_own_is_found_from_anywhere(alife: Call, root: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my sim.py").touch()
    alife("new", "mine", "--sim", "my sim.py")
    assert Profile.open(root, "mine").config.sim.name == str(tmp_path / "my sim.py")


def test_root_stands_before_or_after_the_verb(alife: Call, tmp_path: Path) -> None:
    alife("--root", str(tmp_path / "a"), "new", "x")
    alife("new", "y", "--root", str(tmp_path / "a"))
    assert listing(tmp_path / "a") == ["x", "y"]


def test_a_job_of_a_cluster_wants_a_lasting_root(alife: Call, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    status, _, complaint = alife("--root", "profiles", "list")
    assert status == 2
    assert "storage that all nodes reach" in complaint
    assert alife("--root", str(tmp_path), "list")[0] == 0
    monkeypatch.delenv("ALIFE_ROOT")
    assert alife("list", "--root", str(tmp_path))[0] == 0
    assert alife("list")[0] == 2


def test_list_and_status_tell_what_there_is(alife: Call) -> None:
    assert "alife new" in alife("list")[1]
    alife("new", "mine", "--generator", "filter")
    row = alife("list")[1].splitlines()[1].split()
    assert row == ["mine", "lenia", "0", "0", "common", "-", "filter", "-", "never"]
    facts = json.loads(alife("status", "mine", "--json")[1])
    assert (facts["sim"], facts["labels"], facts["generator"]["name"]) == ("lenia", 0, "filter")
    assert (facts["labelers"], facts["sureness"]["verdict"]) == ([], "few")
    said = alife("status", "mine")[1]
    assert "labels     0" in said
    assert "still learning how sure it may be: 0 of 50 answers" in said


def test_run_makes_what_is_missing_and_says_so(alife: Call, root: Path, work: list) -> None:
    _, out, _ = alife("run", "fresh", "--set", "rollouts.prior=50", "--port", "8000")
    assert 'no profile "fresh"' in out
    assert Profile.open(root, "fresh").config.rollouts.prior == 50
    _, out, _ = alife("run", "fresh")
    assert out == ""
    how = {"train": True, "host": "127.0.0.1", "tab": "label", "share": False}
    assert work == [("serve", (root, "fresh"), how | {"port": port}) for port in (8000, 7860)]


def test_label_browse_and_train_make_nothing(alife: Call, root: Path, work: list) -> None:
    for verb in ("label", "browse", "train"):
        assert alife(verb, "missing")[0] == 2
    assert work == []
    assert listing(root) == []


def test_each_verb_does_its_work(alife: Call, root: Path, work: list) -> None:
    alife("new", "mine")
    for words in (["label", "mine"], ["browse", "mine"], ["train", "mine"], ["train", "mine", "generator"]):
        alife(*words)
    (_, _, label), (_, _, browse), (_, both, _), (_, one, _) = work
    assert (label["train"], label["tab"]) == (False, "label")
    assert (browse["train"], browse["tab"]) == (False, "browse")
    assert both == (root, "mine", ("rewardor", "generator"))
    assert one == (root, "mine", ("generator",))


def test_a_shared_page_listens_everywhere_unless_told_where(alife: Call, work: list) -> None:
    alife("run", "mine", "--share")
    alife("label", "mine", "--share", "--host", "127.0.0.1")
    assert [(how["host"], how["share"]) for _, _, how in work] == [("0.0.0.0", True), ("127.0.0.1", True)]
    assert alife("run", "other", "--share", "--oracle", "movers")[0] == 2


def test_a_program_labels_in_a_profile_of_its_seed(alife: Call, root: Path, work: list, tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    alife("run", "auto", "--oracle", "movers", "--labels", "25", "--seed", "3", "--report", str(report))
    assert work == [("unattended", (root, "auto", "movers", 25, report), {})]
    assert Profile.open(root, "auto").config.seed == 3


@pytest.mark.usefixtures("work")
def test_set_changes_a_profile_and_keeps_its_comments(alife: Call, root: Path) -> None:
    alife("new", "mine")
    path = root / "mine" / "profile.toml"
    path.write_text("# my notes\n[rollouts]\nprior = 50 # few\n")
    alife("run", "mine", "--set", "rollouts.per_label=8")
    assert Profile.open(root, "mine").config.rollouts.per_label == 8
    assert Profile.open(root, "mine").config.rollouts.prior == 50
    assert "# my notes" in path.read_text()
    assert "# few" in path.read_text()


@pytest.mark.usefixtures("work")
def test_set_refuses_to_mix_simulations(alife: Call, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alife("new", "mine")
    assert alife("run", "mine", "--set", "seed=1")[0] == 0  # nothing there yet that another seed could contradict
    monkeypatch.setattr(shelf, "_made", lambda _: {"seed", "sim"})
    status, _, err = alife("run", "mine", "--set", "seed=2")
    assert status == 2
    assert "seed cannot change any more" in err
    assert Profile.open(root, "mine").config.seed == 1


def test_check_names_what_a_simulation_does_wrong(alife: Call, tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(
        "from sims import Simulation\n\nclass One(Simulation): ...\n\nclass Two(Simulation): ...\n"
    )
    status, _, err = alife("check", str(tmp_path / "two.py"))
    assert (status, "One, Two" in err) == (2, True)
    (tmp_path / "loose.py").write_text(
        "from sims import Param, Simulation, Space\n\nclass Loose(Simulation):\n"
        "    space = Space(Param('x', 0, 1, doc='more'))\n"
        "    def simulate(self, unit, seeds, plan): ...\n"
    )
    status, out, err = alife("check", str(tmp_path / "loose.py"))
    assert (status, err) == (1, "")
    assert f"- {tmp_path / 'loose.py'}:3: Loose is no frozen dataclass" in out


@pytest.mark.parametrize(
    ("code", "line", "words"),
    [
        ("from sims import Simulation\n\nclass Broken(Simulation)\n    pass\n", 3, "SyntaxError: expected ':'"),
        ("import torch\n\nSIZE = sixty\n", 3, "NameError: name 'sixty' is not defined"),
        ("import sims\n\n\nclass Empty(sims.Simulation):\n    pass\n", 4, "Empty lacks simulate, space"),
    ],
)
def test_check_names_the_line_of_what_cannot_even_be_loaded(
    alife: Call, tmp_path: Path, code: str, line: int, words: str
) -> None:
    path = tmp_path / "broken.py"
    path.write_text(code)
    status, _, err = alife("check", str(path))
    assert status == 2
    assert words in err
    assert f"({path}:{line})" in err
    assert "Traceback" not in err


def test_a_described_program_is_written_into_the_profile(alife: Call, root: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spin.pl").touch()
    (tmp_path / "spin.toml").write_text(
        'command = ["perl", "spin.pl", "{speed}"]\noutput = "*.ppm"\n'
        '[[params]]\nname = "speed"\nlow = 0.1\nhigh = 9\nscale = "log"\ndoc = "faster"\n'
    )
    assert alife("new", "mine", "--sim", "spin.toml", "--set", "sim.seconds=3")[0] == 0
    (tmp_path / "spin.toml").unlink()
    chosen = Profile.open(root, "mine").config.sim
    assert (chosen.name, chosen.options["seconds"]) == ("external", 3)
    sim = plugins.load("sims", chosen.name, chosen.options)
    assert sim.command == ("perl", str(tmp_path / "spin.pl"), "{speed}")
    assert sim.space.names == ("speed",)
    status, _, err = alife("new", "other", "--sim", "spin.toml")
    assert (status, "spin.toml" in err, "No such file" in err) == (2, True, True)
    (tmp_path / "spin.toml").write_text('command = "perl"')
    status, _, err = alife("new", "other", "--sim", "spin.toml", "--set", "sim.seconds=3")
    assert (status, 'option "command"' in err) == (2, True)


# -- the launcher -----------------------------------------------------------------------------------------------------


def test_the_first_launch_makes_a_profile(alife: Call, root: Path, work: list, monkeypatch: pytest.MonkeyPatch) -> None:
    keys(monkeypatch, "", "lenia", "fil", "1", "")
    _, out, _ = alife()
    chosen = Profile.open(root, "default").config
    assert (chosen.sim.name, chosen.generator.name, chosen.rewardor.name) == ("lenia", "filter", "common")
    assert plugins.catalogue("sims")["lenia"] in out
    assert "alife run default" in out
    assert [asked[2]["train"] for asked in work] == [True]


def test_the_launcher_asks_again(alife: Call, root: Path, work: list, monkeypatch: pytest.MonkeyPatch) -> None:
    alife("new", "mine")
    keys(monkeypatch, "+", "mine", "Mine!", "other", "", "", "", "trian", "train")
    _, out, _ = alife()
    assert 'There is a profile "mine" already' in out
    assert "cannot be called 'Mine!'" in out
    assert 'did you mean "train"' in out
    assert work == [("train", (root, "other", ("rewardor", "generator")), {})]


def test_the_launcher_takes_a_profile_by_its_number(
    alife: Call, root: Path, work: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    alife("new", "one")
    alife("new", "two")
    keys(monkeypatch, "2", "browse")
    alife()
    assert work[0][1] == (root, "two")
    assert work[0][2]["tab"] == "browse"


def test_leaving_the_launcher_is_no_error(alife: Call, monkeypatch: pytest.MonkeyPatch, work: list) -> None:
    keys(monkeypatch)
    status, _, err = alife()
    assert (status, err, work) == (0, "", [])


def test_ctrl_c_leaves_the_launcher_without_a_word() -> None:
    here, there = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "pipeline"], stdin=there, stdout=there, stderr=there)
    os.close(there)
    seen = b""
    while not seen.endswith(b"[default]: "):
        seen += os.read(here, 1000)
    for _ in range(20):  # a signal between the prompt and the reading is noticed only after a line, or with the next
        time.sleep(0.5)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0
    seen += os.read(here, 1000)
    os.close(here)
    assert b"Traceback" not in seen
