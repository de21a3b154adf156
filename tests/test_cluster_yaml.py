"""cluster.yaml is what Ray accepts, and what it promises about safety."""

from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

PATH = Path(__file__).parents[1] / "cluster.yaml"


@pytest.fixture
def machines():
    return yaml.safe_load(PATH.read_text())


def test_ray_accepts_it(machines):
    validate_config(prepare_config(machines))


def test_ray_would_refuse_a_slip(machines):
    with pytest.raises(Exception, match="bogus"):
        validate_config(prepare_config(machines | {"bogus": 1}))


def test_every_node_asks_for_the_token_and_has_it(machines):
    for commands in (machines["head_start_ray_commands"], machines["worker_start_ray_commands"]):
        (start,) = [command for command in commands if "ray start" in command]
        assert "RAY_AUTH_MODE=token" in start
        assert "--node-ip-address=$(hostname -I" in start
    assert machines["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    assert "chmod 600 ~/.ray/auth_token" in machines["setup_commands"]


def test_nothing_of_the_dashboard_is_offered_to_the_network(machines):
    (start,) = [command for command in machines["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in start


def test_all_nodes_reach_the_profiles(machines):
    setup = "\n".join(machines["setup_commands"])
    assert "mount" in setup
    assert "ALIFE_ROOT=/mnt/profiles" in setup
