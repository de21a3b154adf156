"""`ray up` for real, on this machine alone: python -m benchmarks.cluster_up [--labels 8].

What cluster.yaml says is done as far as one machine can: Ray's `local` provider reaches it over ssh, copies the token,
sets it up, and starts the head by the same command, on ports of its own. Then `alife submit` sends the code, pairs are
labeled through the page until both models know the answers, requests without the right token are refused, and `ray job
stop` ends the run. Printed is what took how long.

It needs openssh-server, openssh-client and rsync, and disturbs nobody: home, keys, token, profiles and Ray's files are
in a folder that goes again; ssh starts its server for each connection, with settings of its own and on no port; nothing
runs `ray stop`, which would end each Ray of this user; what was started is ended by its process ids.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.launcher import Visitor, free_port
from pipeline import loop
from pipeline.profile import Profile

ROOT = Path(__file__).parents[1]
NAME = "proof"
PATIENCE_S = 600.0
PROGRAMS = Path(sys.executable).parent


def main() -> None:
    """Bring a cluster up, use it, and take it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=8)
    labels = parser.parse_args().labels
    with tempfile.TemporaryDirectory(prefix="up", dir="/tmp", ignore_cleanup_errors=True) as folder:
        there = Machine(Path(folder))
        try:
            _prove(there, labels)
        finally:
            there.end()


def _prove(there: "Machine", labels: int) -> None:
    page = free_port()
    with timed("ray up, over ssh"):
        there.call("ray", "up", "-y", "--no-config-cache", str(there.describe()))
    tokens = {"without a token": None, "with a wrong one": "0" * 64, "with the right one": there.token}
    print("the jobs API answers " + ", ".join(f"{status(there.address, t)} {how}" for how, t in tokens.items()))
    with timed("alife submit"):
        settings = ["--set", "rollouts.prior=50", "--port", str(page)]
        said = there.call("alife", "submit", NAME, *settings, "--address", there.address)
    job = re.findall(r"Submitted as (\S+)\.", said)[0]
    visitor = Visitor(page)
    with timed("until the page answers"):
        wait(visitor.up)
    profile = Profile.open(there.profiles, NAME)
    with timed("until there is a pair of films"):
        wait(lambda: len(profile.films().file) >= 2)
    with timed(f"until {labels} pairs are labeled"):
        visitor.label(labels, "left")
    with timed("until both models know them"):
        wait(lambda: know_all(profile, labels))
    newest = {role: loop.newest(profile, role).number for role in ("rewardor", "generator")}
    print(f"versions: {newest}; plan: {there.plan(job)}")
    with timed("ray job stop"):
        there.call("ray", "job", "stop", job, "--address", there.address)
    assert not profile.held("page"), "the job lives on"
    assert len(profile.labels().id) == labels


def know_all(profile: Profile, labels: int) -> bool:
    """Whether both models are there and know so many labels."""
    rewardor, generator = (loop.newest(profile, role) for role in ("rewardor", "generator"))
    return bool(rewardor and generator and rewardor.snapshot["labels"] == labels and not loop.due_tell(profile))


class Machine:
    """This machine, as a node that is reached over ssh, and as the computer of whoever owns the cluster.

    Args:
        folder: Holds everything; its path is short, since Ray's sockets are in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.profiles = folder, folder / "node", folder / "profiles"
        self.token = os.urandom(32).hex()
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        for each in (self.home, self.profiles, folder / "owner" / ".ray", folder / "ray"):
            each.mkdir(parents=True)
        (folder / "owner" / ".ray" / "auth_token").write_text(self.token)
        # what setup_commands write to /etc/profile.d elsewhere
        exports = {"PATH": f"{PROGRAMS}:$PATH", "ALIFE_ROOT": self.profiles, **self._ray()}
        (self.home / ".profile").write_text("".join(f"export {key}={value}\n" for key, value in exports.items()))
        self._open_ssh()

    def _ray(self) -> dict[str, str]:
        return {"RAY_TMPDIR": str(self.folder / "ray"), "RAY_raylet_start_wait_time_s": "120"}

    def _open_ssh(self) -> None:
        for key in ("key", "host"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / key)]
            subprocess.run(command, check=True)
        shutil.copy(self.folder / "key.pub", self.folder / "allowed")
        settings = {
            "HostKey": self.folder / "host",
            "AuthorizedKeysFile": self.folder / "allowed",
            "PasswordAuthentication": "no",
            "StrictModes": "no",
            "UsePAM": "no",
            "SetEnv": f"HOME={self.home}",  # ~ is where nothing of the user can be harmed
        }
        (self.folder / "sshd").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        with contextlib.suppress(PermissionError):
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd wants this empty folder, which elsewhere is made at boot

    def describe(self) -> Path:
        """The description of the cluster: cluster.yaml, with this machine in place of those of a provider."""
        machines = yaml.safe_load((ROOT / "cluster.yaml").read_text())
        for key in ("available_node_types", "head_node_type", "max_workers"):
            del machines[key]
        machines |= {
            "cluster_name": self.folder.name,
            "provider": {"type": "local", "head_ip": "127.0.0.1", "worker_ips": []},
            "auth": {
                "ssh_user": psutil.Process().username(),
                "ssh_private_key": str(self.folder / "key"),
                "ssh_proxy_command": f"{shutil.which('sshd', path='/usr/sbin:/sbin')} -i -f {self.folder / 'sshd'}",
            },
            "setup_commands": [each for each in machines["setup_commands"] if each.startswith("chmod")],
            "head_start_ray_commands": [start(self.port)],
            "worker_start_ray_commands": [],
        }
        path = self.folder / "cluster.yaml"
        path.write_text(yaml.safe_dump(machines))
        return path

    def call(self, program: str, *words: str) -> str:
        """What a program says that the owner calls.

        Raises:
            RuntimeError: It failed.
        """
        environment = {**os.environ, **self._ray(), "HOME": str(self.folder / "owner"), "RAY_AUTH_MODE": "token"}
        environment["PATH"] = f"{PROGRAMS}:{environment['PATH']}"
        for key in ("RAY_ADDRESS", "ALIFE_ROOT", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
            environment.pop(key, None)
        command = [sys.executable, "-m", "pipeline"] if program == "alife" else [str(PROGRAMS / program)]
        done = subprocess.run(
            [*command, *words], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        if done.returncode:
            raise RuntimeError(f"{program} {' '.join(words)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout

    def plan(self, job: str) -> str:
        """The line of a job's log that tells its plan."""
        log = self.call("ray", "job", "logs", job, "--address", self.address)
        return next(line for line in log.splitlines() if line.startswith("Ray:"))

    def end(self) -> None:
        """End all that was started, which is what has a file of the folder in its command line."""
        end_all(self.folder)


def start(port: int) -> str:
    """How cluster.yaml starts a head, on ports of its own and with two CPUs, whatever the machine has."""
    machines = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    (command,) = [each for each in machines["head_start_ray_commands"] if "ray start" in each]
    # a raylet gives up on servers that take longer than 15 s to say which ports they found; these know them
    servers = ("ray-client-server", "dashboard-agent-grpc", "metrics-export", "runtime-env-agent")
    own = " ".join(f"--{server}-port={free_port()}" for server in servers)
    own += f" --dashboard-port={port} --dashboard-agent-listen-port={free_port()}"
    small = f"--num-cpus=2 --object-store-memory=300000000 {own}"
    return f"{command.replace('--port=6379', f'--port={free_port()}')} {small}"


def status(address: str, token: str | None, body: bytes | None = None) -> int:
    """What the jobs API answers to somebody with a token or none: an HTTP status."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{address}/api/jobs/", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def end_all(folder: Path) -> None:
    """Kill all processes that were started with a file of this folder, and wait until they are gone."""
    mine = [each for each in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(each.info["cmdline"] or [])]
    tree = {child for each in mine for child in each.children(recursive=True)} | set(mine)
    tree.discard(psutil.Process())
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(tree, timeout=30)


def wait(done: Any) -> None:
    """Wait until something is true."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long something took."""
    begin = time.monotonic()
    yield
    print(f"{time.monotonic() - begin:6.1f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
