"""The peer's side of speed.py, run by an interpreter that has CAX.

Every function makes the work of one simulation: `steps` steps of `batch` worlds, jitted, with lax.scan over the steps,
in single precision. Where worlds have rules of their own in ours, they have them here. Where there is more than one
sensible way to run a batch, all are made, and the fastest counts.
"""

import jax
import jax.numpy as jnp
from cax.cs.boids import BoidPolicy, Boids
from cax.cs.flow_lenia import FlowLenia
from cax.cs.lenia import GrowthParams, KernelParams, Lenia, gaussian_kernel_fn, polynomial_kernel_fn
from cax.cs.lenia.rule import LeniaRuleParams
from cax.cs.life import Life
from cax.cs.particle_lenia import GrowthParams as ParticleGrowth
from cax.cs.particle_lenia import KernelParams as ParticleKernel
from cax.cs.particle_lenia import ParticleLenia, ParticleLeniaRuleParams, bell
from cax.cs.particle_life import ParticleLife
from flax import nnx, struct
from speed_serve import serve


@struct.dataclass
class ParticleLifeState:  # CAX's own states cannot be made under Python 3.11, where they inherit from typing.Any.
    class_: jax.Array
    position: jax.Array
    velocity: jax.Array


@struct.dataclass
class BoidsState:
    position: jax.Array
    velocity: jax.Array


def run(system, state, steps):
    """A world's last state."""
    return jax.lax.scan(lambda now, _: (system._step(now), None), state, length=steps)[0]


def ways(make, number, state, steps):
    """A batch at once, or world after world; each world's system is made from its own number, before its steps."""
    batch = len(number)
    at_once = jax.jit(jax.vmap(lambda one, start: run(make(one), start, steps)))
    systems = [make(one) for one in number]
    alone = [jax.jit(lambda start, system=system: run(system, start, steps)) for system in systems]

    def one_by_one():
        return [jax.block_until_ready(alone[i](jax.tree.map(lambda leaf, i=i: leaf[i], state))) for i in range(batch)]

    return {"vmap": lambda: jax.block_until_ready(at_once(number, state)), "one by one": one_by_one}


def polynomial_growth(u, params):
    return 2 * jnp.maximum(0, 1 - ((u - params.mean) / (3 * params.std)) ** 2) ** 4 - 1


def lenia(size, batch, steps):
    def make(mu):
        rule = LeniaRuleParams(
            channel_source=jnp.array([0]),
            channel_target=jnp.array([0]),
            weight=jnp.array([1.0]),
            kernel_params=KernelParams(r=jnp.array([6 * mu]), b=jnp.array([[1.0]])),
            growth_params=GrowthParams(mean=mu[None], std=mu[None] / 10),
        )
        functions = {"kernel_fn": polynomial_kernel_fn, "growth_fn": polynomial_growth}
        return Lenia((size, size), 1, R=13, T=10, rule_params=rule, **functions)

    start = jax.random.uniform(jax.random.key(0), (batch, size, size, 1))
    return ways(make, jnp.linspace(0.12, 0.16, batch), start, steps)


SOURCE = jnp.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 1, 1, 2, 2])
TARGET = jnp.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 1, 2, 0, 2, 0, 1])


def many_kernels(mu):
    """Three channels and fifteen kernels of three rings."""
    spread = jnp.linspace(0.8, 1.2, 15)
    return LeniaRuleParams(
        channel_source=SOURCE,
        channel_target=TARGET,
        weight=0.4 * spread,
        kernel_params=KernelParams(r=spread / 1.2, b=jnp.linspace(0.1, 1, 45).reshape(15, 3)),
        growth_params=GrowthParams(mean=mu * spread, std=mu * spread / 8),
    )


def lenia_multi(size, batch, steps):
    def make(mu):
        return Lenia((size, size), 3, R=12, T=2, kernel_fn=gaussian_kernel_fn, rule_params=many_kernels(mu))

    start = jax.random.uniform(jax.random.key(0), (batch, size, size, 3))
    return ways(make, jnp.linspace(0.12, 0.3, batch), start, steps)


def flow_lenia(size, batch, steps, reach, kernels):
    """One channel. Matter moves at most `reach` cells per step."""

    def make(mu):
        rule = jax.tree.map(lambda leaf: leaf[:kernels], many_kernels(mu))
        rule = rule.replace(channel_source=jnp.zeros(kernels, int), channel_target=jnp.zeros(kernels, int))
        return FlowLenia((size, size), 1, R=12, T=5, kernel_fn=gaussian_kernel_fn, rule_params=rule, dd=reach)

    start = jax.random.uniform(jax.random.key(0), (batch, size, size, 1))
    return ways(make, jnp.linspace(0.12, 0.3, batch), start, steps)


def life(size, batch, steps):
    birth, survival = Life.birth_survival_from_string("B3/S23")
    system = Life(birth=birth, survival=survival, rngs=nnx.Rngs(0))
    start = jax.random.bernoulli(jax.random.key(0), 0.4, (batch, size, size, 1)).astype(jnp.float32)
    return ways(lambda _: system, jnp.zeros(batch), start, steps)


def particle_life(particles, reach, batch, steps):
    system = ParticleLife(  # cannot be made inside jit
        3, r_max=reach, dt=0.02, A=jax.random.uniform(jax.random.key(0), (3, 3), minval=-1)
    )
    place = jax.random.uniform(jax.random.key(1), (batch, particles, 2))
    kind = jax.random.randint(jax.random.key(2), (batch, particles), 0, 3)
    start = ParticleLifeState(class_=kind, position=place, velocity=jnp.zeros_like(place))
    return ways(lambda _: system, jnp.zeros(batch), start, steps)


def particle_lenia(particles, batch, steps):
    """Growth is the bell of the paper, as ours."""

    def make(mean):
        rule = ParticleLeniaRuleParams(
            kernel_params=ParticleKernel(weight=0.022, mean=mean, std=1.0),
            growth_params=ParticleGrowth(mean=0.6, std=0.15),
            c_rep=1.0,
        )
        return ParticleLenia(2, T=10, growth_fn=lambda u, p: bell(u, p.mean, p.std), rule_params=rule)

    start = jax.random.uniform(jax.random.key(0), (batch, particles, 2), minval=-6, maxval=6)
    return ways(make, jnp.linspace(3.5, 4.5, batch), start, steps)


def boids(particles, batch, steps):
    """One policy, as its noise makes it impossible to make inside jit: worlds differ in their start."""
    system = Boids(boid_policy=BoidPolicy(rngs=nnx.Rngs(0)))
    place = jax.random.uniform(jax.random.key(1), (batch, particles, 2))
    motion = jax.random.uniform(jax.random.key(2), (batch, particles, 2), minval=-0.5, maxval=0.5)
    start = BoidsState(position=place, velocity=motion)

    @nnx.jit
    def at_once(system, start):
        own = nnx.StateAxes({nnx.RngState: 0, nnx.Intermediate: 0, ...: None})
        worlds = nnx.vmap(lambda each, state: each(state, num_steps=steps), in_axes=(own, 0))
        return nnx.split_rngs(splits=batch)(worlds)(system, start)

    return {"vmap": lambda: jax.block_until_ready(at_once(system, start))}


if __name__ == "__main__":
    serve({f.__name__: f for f in (lenia, lenia_multi, flow_lenia, life, particle_life, particle_lenia, boids)})
