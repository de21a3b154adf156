import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import config
from pipeline.config import Config, ConfigError, Plugin, RolloutPlan

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
PLAIN = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
OPTIONS = st.dictionaries(TEXTS.filter(lambda key: key != "name"), PLAIN | st.lists(PLAIN, max_size=3), max_size=3)
PLUGINS = st.builds(Plugin, name=TEXTS, options=OPTIONS)
CONFIGS = st.builds(
    Config,
    seed=st.integers(0, 2**63 - 1),
    sim=PLUGINS,
    rewardor=PLUGINS,
    generator=PLUGINS,
    rollouts=st.builds(
        RolloutPlan,
        prior=st.integers(1, 1_000_000),
        per_label=st.integers(0, 10_000),
        block=st.integers(1, 10_000),
        actor_cpus=st.floats(0.01, 1024),
        timeout_s=st.floats(0.1, 1e6),
    ),
)


@given(CONFIGS)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_whatever_is_written_is_read_back(made: Config) -> None:
    assert config.parse(config.dump(made)) == made


@given(st.text())
def test_nonsense_is_a_config_error_and_nothing_else(text: str) -> None:
    with contextlib.suppress(ConfigError):
        config.parse(text)


def test_an_empty_file_is_the_default() -> None:
    assert config.parse("") == Config()
    assert Config().rollouts == RolloutPlan(prior=300, per_label=10, block=25, actor_cpus=0.5, timeout_s=300.0)
    config.check(Config())


def test_the_options_of_a_plug_in_stand_beside_its_name() -> None:
    read = config.parse('seed = 3\n[sim]\nname = "boids"\nsize = 64\nspeeds = [1.0, 2.0]\n[rollouts]\nblock = 5\n')
    assert read.seed == 3
    assert read.sim == Plugin(name="boids", options={"size": 64, "speeds": [1.0, 2.0]})
    assert read.rollouts.block == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 3", r'unknown key "sed" \(did you mean "seed"\?\); allowed at the top: seed, sim, rewardor, generator'),
        ("[rollouts]\nblok = 5", r'"rollouts.blok" \(did you mean "block"\?\); allowed in \[rollouts\]: prior, per_la'),
        ("[rollouts]\nblock = 0", "rollouts.block is 0: it should be greater than or equal to 1"),
        ("[rollouts]\nblock = '5'", "rollouts.block is '5': it should be a valid integer"),
        ("[rollouts]\nblock = true", "rollouts.block is True: it should be a valid integer"),
        ("[rollouts]\ntimeout_s = nan", "rollouts.timeout_s is nan: it should be"),
        ("[rollouts]\nactor_cpus = inf", "rollouts.actor_cpus is inf: it should be"),
        ("seed = -1", "seed is -1: it should be greater than or equal to 0"),
        ("seed = 9223372036854775808", "seed is 9223372036854775808: it should be less than"),
        ("rollouts = 5", r"rollouts is 5, expected a table"),
        ("sim = 'lenia'", "sim is 'lenia', expected a table: sim.name = "),
        ("[sim]\nsize = 64", "sim.name is missing"),
        ("[sim]\nname = 5", "sim.name is 5: it should be a valid string"),
        ("[sim]\nname = 'lenia'\nsize = nan", "sim.size is nan: options are finite numbers"),
        ("[sim]\nname = 'lenia'\nsize = [1, inf]", "sim.size is .*: options are finite numbers"),
        ("[sim]\nname = 'lenia'\nsize = 2026-01-01", "sim.size is .*: options are finite numbers"),
        ("seed = 1\nseed = 2", "this is not TOML: Cannot overwrite a value"),
        ("x = " + "[" * 5000, "this is not TOML"),
    ],
)
def test_a_mistake_is_named_with_what_was_given_and_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.parse(text)


def test_two_mistakes_are_both_named() -> None:
    with pytest.raises(ConfigError, match=r"seed is -1.*; .*rollouts\.blok"):
        config.parse("seed = -1\n[rollouts]\nblok = 5")


def test_settings_are_changed_one_by_one() -> None:
    made = config.set_value(Config(), "rollouts.per_label=8")
    made = config.set_value(made, "seed = 7")
    made = config.set_value(made, "generator.name=filter")
    assert made == Config(seed=7, generator=Plugin(name="filter"), rollouts=RolloutPlan(per_label=8))


def test_another_plug_in_starts_without_the_options_of_the_last() -> None:
    before = Config(generator=Plugin(name="gibbs", options={"x": 1}))
    assert config.set_value(before, 'generator.name="filter"').generator == Plugin(name="filter")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("rollouts.per_label", "is not of the form key=value"),
        ("=8", "is not of the form key=value"),
        ("rollouts.=8", "is not of the form key=value"),
        ("rollout.per_label=8", r'unknown key "rollout" \(did you mean "rollouts"\?\)'),
        ("rollouts.perlabel=8", r'"rollouts.perlabel" \(did you mean "per_label"\?\)'),
        ("seed.x=8", "seed is one value, without keys of its own"),
        ("rollouts.per_label=many", "rollouts.per_label is 'many': it should be a valid integer"),
        ("rollouts.per_label=two words", "'two words' is not a value"),
        ("sim.name=lena", r'unknown sim "lena" \(did you mean "lenia"\?\)'),
        ("sim.sizes=64", 'unknown option "sizes" of sim "lenia".*; allowed: '),
        ("generator.nosuch=1", 'unknown option "nosuch" of generator "gibbs"'),
    ],
)
def test_a_setting_that_will_not_do_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.set_value(Config(), assignment)


@pytest.mark.parametrize("name", ["a", "lenia-2", "0", "my_profile", "a" * 64])
def test_good_names(name: str) -> None:
    assert config.check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "A", "../x", "/etc", "a\0b", ".", "-a", "_a", "a" * 65, "é", "a b", "a/b", "a\n", "\u202ea", "con."]
)
def test_bad_names_are_refused_with_one_that_would_do(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be called"):
        config.check_name(name)


def test_a_proposed_name_is_a_good_one() -> None:
    with pytest.raises(ConfigError, match='such as "my-world-2"'):
        config.check_name("My World 2!")
