"""Every quantity on every kind of element: the model that ours produces is that of an edited scene.

Or the parameter is refused, in a sentence that names the element and why, and the refusal is one of these.
"""

import dataclasses
import operator
import re
import sys
from collections import Counter
from pathlib import Path

import mujoco
import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.parameters import QUANTITIES
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World, element_names, nominal_value
from sim2real.world.checks import check_parameters

sys.path.insert(0, str(Path(__file__).parent))
from generator import generate
from truth import Truth

# quantity: smallest and largest value; those of one line are set together, in this order
GROUPS = (
    {"mass": (0.2, 3), "payload": (0, 1), "com_x": (-0.1, 0.1), "inertia_shift_y": (-0.1, 0.1)},
    {"mass": (0.2, 3), "inertia_stretch_x": (-0.3, 0.3), "inertia_log_mass": (-0.3, 0.3)},
    {"inertia_shear_xy": (-0.3, 0.3)},
    {"friction": (0.1, 2)},
    {"height": (-0.2, 0.2)},
    {"damping": (0, 2), "stiffness": (0, 2), "armature": (0.01, 1), "frictionloss": (0, 1), "stuck": (1, 1)},
    {"gravity": (1, 12), "slope_x": (-0.5, 0.5), "slope_y": (-0.5, 0.5)},
    {"air_density": (0.5, 2), "wind_x": (-3, 3)},
    {"kp": (5, 50), "kd": (0.1, 5), "back_emf": (0, 2), "torque_limit": (0.5, 1.9), "bias_torque": (-1, 1),
     "latency": (0, 6), "encoder_offset": (-0.2, 0.2), "strength": (0.2, 1.5)},
    {"backlash": (0.01, 0.02)}, {"stribeck": (0.1, 0.5)}, {"load_friction_motor": (0.1, 0.5)},
    {"speed_loss": (0.1, 0.5)}, {"rate_limit": (1, 5)}, {"push": (1, 5)},
)  # fmt: skip
NOT_IN_THE_MODEL = ("backlash", "stribeck", "load_friction_motor", "speed_loss", "rate_limit", "push")

SERVO = (
    "position|filtered position|damped position|percent|intvelocity|pid|pid with feedforward|orientation"
    "|velocity|velocity with a constant"
)
PLAIN = (
    "motor|cylinder|plain cylinder|DC motor as general|motor with a constant|motor with ignored bias"
    "|integrator|spring|adhesion"
)
# quantity, kinds of element, what the refusal says; always refused, or with a ? sometimes
REFUSED = (
    ("mass|payload|com_.|inertia_.*|push", "static", "fixed to the world"),
    ("mass|payload|com_.|inertia_.*|push", "mocap", "goes where mocap puts it"),
    ("mass|com_.|inertia_.*", "massless", "has no mass"),
    ("backlash|encoder_offset", "ball|free", "needs one axis"),
    ("stribeck|load_.*", "ball|free", "follows one speed"),
    ("backlash|encoder_offset|stribeck|load_.*", "fixed|spatial", "is a tendon"),
    ("strength", "DC motor|DC motor with controller|passive DC motor", "resistance and motor constant"),
    ("strength|kp|kd|back_emf|bias_torque", "plugin", "decided by the plugin"),
    ("strength", "pid with feedforward", "feedforward is a torque"),
    ("kp|kd", f"{PLAIN}", "no position servo|no servo"),
    ("kp|kd", "damper|affine|affine without bias|muscle|scaled muscle", "has no goal"),
    ("kp", "velocity|velocity with a constant", "its gain is its kd"),
    ("kp|kd", "DC motor|passive DC motor", "without a controller"),
    ("back_emf", SERVO, "its kd says that"),
    ("back_emf", "muscle|scaled muscle", "its own law"),
    ("back_emf", "DC motor|DC motor with controller|passive DC motor", "follows from its motor constant"),
    ("bias_torque", "orientation", "three torques"),
    (
        "bias_torque",
        "muscle|scaled muscle|DC motor|DC motor with controller|passive DC motor",
        "law has no constant",
    ),
    ("latency|rate_limit", "passive DC motor", "takes no command"),
    ("latency", "plugin", "reads the command as it is given"),
    ("rate_limit", "pid.*|DC motor with controller|orientation", "commands of different kinds"),
    ("speed_loss", "adhesion|orientation", "drives no hinge|does not have"),
    # by what else is in the model
    (".*?", ".*", "the scene switches that off"),
    ("friction?", "geom", "has no effect below|touches nothing|condim 1|gives their friction"),
    ("slope_.?", "world", "no effect without gravity"),
    ("wind_x?", "world", "no effect without air"),
    ("torque_limit?", ".*", "no force limit to change|the same either way|only limit is|has no effect above"),
    ("speed_loss?", ".*", "does not have|drives no hinge or slide"),
    ("strength?", ".*", "limits what it and"),
    ("backlash?", "hinge|slide", "equality couples|pulls at it|needs an inertia|not the last"),
    ("encoder_offset?", "hinge|slide", "can't be reached|no constant to shift"),
    ("load_.*?", "hinge|slide", "varies with the pose"),
)  # fmt: skip

IGNORED = re.compile(r"_.*|n.*|.*bvh.*|B_.*|M_.*|D_.*|map.*|text.*|opt|vis|stat|.*simple.*")  # names, layouts
WHOLE = (
    "body_inertia",
    "body_iquat",
    "body_sameframe",
    "geom_sameframe",
)  # a tensor has many principal frames
TOLERANCE = 1e-9  # relative to a field's largest number


def combinations(seed, count):
    """A model, and parameters of some of its elements with values."""
    model, rng = generate(seed), np.random.default_rng((seed, 1))
    kinds = {"world": [None], "body": [], "joint": [], "geom": [], "actuator": []}
    for element in model.elements:
        kinds["joint" if element.kind == "tendon" else element.kind].append(element)
    for _ in range(count):
        group = GROUPS[rng.integers(len(GROUPS))]
        of = {QUANTITIES[name].element for name in group}
        chosen = {kind: kinds[kind][rng.integers(len(kinds[kind]))] for kind in sorted(of)}
        driven = [
            e
            for e in kinds["joint"]
            if e.name and e.name in chosen.get("actuator", e).facts.get("target", "")
        ]
        if driven:  # whose encoder a servo reads
            chosen["joint"] = driven[0]
        names = [name for name in group if rng.random() < max(0.4, 1 / len(group))] or [next(iter(group))]
        values = {}
        for name in names:
            value = rng.uniform(*group[name])
            values[name] = round(value) if QUANTITIES[name].integer else round(value, 4)
        yield model, [(chosen[QUANTITIES[name].element], name, value) for name, value in values.items()]


def called(model, element):
    """Name of an element, or its number; of an actuator sometimes that of the joint that it alone drives."""
    if element is None:
        return "world"
    target = element.facts.get("target", "")
    joint = target.split('"')[1] if target.startswith("joint") else ""
    alike = [e for e in model.elements if f'"{joint}"' in e.facts.get("target", "") and not e.name]
    if joint and not element.name and len(alike) == 1 and element.number % 2:
        return joint
    return element.name or f"{element.kind} {element.number}"


def expected(element, quantity, said=None):
    """Whether a refusal is in the list; without a sentence, whether it must come."""
    what = element if isinstance(element, str) else "world" if element is None else element.what
    for quantities, kinds, sentence in REFUSED:
        always = not quantities.endswith("?")
        if re.fullmatch(quantities.removesuffix("?"), quantity) and re.fullmatch(kinds, what):
            if said is None and always:
                return True
            if said is not None and re.search(sentence, said):
                return True
    return False


def differing(ours, true, whole_inertia):
    """Fields that differ, of all numbers of two models."""
    for name, read in FIELDS.items():
        if not (whole_inertia and name in WHOLE):
            a, b = read(ours), read(true)
            if not np.array_equal(a, b) and not same(a, b):
                yield name
    if whole_inertia and not all(same(tensor(ours, k), tensor(true, k)) for k in range(true.nbody)):
        yield "inertia"


def fields():
    """What reads each number or array of numbers of a model, by name."""
    model = mujoco.MjModel.from_xml_string("<mujoco/>")
    names = [name for name in dir(model) if not IGNORED.fullmatch(name)]
    names += [f"opt.{name}" for name in dir(model.opt) if not name.startswith("_")]
    readers = {name: operator.attrgetter(name) for name in names}
    return {name: read for name, read in readers.items() if np.asarray(read(model)).dtype.kind in "biuf"}


FIELDS = fields()


def same(a, b):
    a, b = (np.asarray(value, dtype=float) for value in (a, b))
    scale = max(1e-3, np.abs(b).max(initial=0.0))
    return a.shape == b.shape and np.abs(a - b).max(initial=0.0) <= TOLERANCE * scale


def tensor(model, body):
    axes = np.zeros(9)
    mujoco.mju_quat2Mat(axes, model.body_iquat[body])
    axes = axes.reshape(3, 3)
    return axes @ np.diag(model.body_inertia[body]) @ axes.T


def outcome(world, model, chosen, path, bare=False):
    """What is wrong with some parameters on a model, if anything; and whether they were refused."""
    physics = {f"{called(model, e)}.{quantity}": value for e, quantity, value in chosen}
    domain = Domain.point(physics)
    try:
        wide = world.for_domain(domain)
        wide.check(domain)
    except InvalidValue as error:
        said = str(error)
        known = any(expected(e, quantity, said) for e, quantity, _ in chosen)
        named = any(e is None or called(model, e) in said for e, _, _ in chosen) and "\n" not in said
        return ("" if known and named else f"refused: {said}"), True
    must = [(e, quantity) for e, quantity, _ in chosen if expected(e, quantity)]
    if must:
        return f"accepted {must}", False
    if any(quantity in NOT_IN_THE_MODEL for _, quantity, _ in chosen):
        return "", False
    if bare:  # as an env of somebody else's has it, whose model can't be compiled again
        wide = dataclasses.replace(wide, model=mujoco.MjModel.from_xml_path(str(path)))
        try:
            check_parameters(wide)
            wide.check(domain)
        except InvalidValue as error:
            fits = re.search("compiled as (a )?simple|does not fit the buffer", str(error))
            return ("" if fits else f"refused: {error}"), True
    simulator = MujocoSimulator(wide, 1, 1)
    simulator.set_physics(np.array([0]), tuple(domain.names), np.array([list(map(float, physics.values()))]))
    truth = Truth(model, path)
    for element, quantity, value in chosen:
        truth.edit(element, quantity, value)
    ours, true = simulator.snapshot(0)[0], truth.compile()
    wrong = set(differing(ours, true, any("inertia_" in q for _, q, _ in chosen)))
    return (f"differs in {sorted(wrong)}" if wrong else ""), False


def run(seeds, each, tmp_path):
    """Faults of many combinations; and what was seen to act, and to be refused, by quantity and kind."""
    faults, acted, refused = [], [], []
    for seed in seeds:
        folder = tmp_path / f"model{seed}"
        folder.mkdir()
        scene = folder / "scene.xml"
        scene.write_text(generate(seed).xml)
        (folder / "physics.toml").write_text("")
        world = World.load(folder)
        for model, chosen in combinations(seed, each):
            fault, was_refused = outcome(world, model, chosen, scene, bare=seed % 2 == 1)
            what = [(quantity, "world" if e is None else e.what) for e, quantity, _ in chosen]
            (refused if was_refused else acted).append(what)
            if fault:
                faults.append((seed, [(e and (e.what, called(model, e)), q, v) for e, q, v in chosen], fault))
    return faults, acted, refused


def test_a_few_hundred_combinations(tmp_path):
    faults, acted, refused = run(range(30), 20, tmp_path)
    assert not faults, "\n".join(map(str, faults[:10]))
    assert len(acted) + len(refused) == 600
    assert len(refused) < 300


@pytest.mark.slow
def test_thousands_of_combinations(tmp_path):
    """And whatever is not on the list of refusals is seen to act somewhere."""
    faults, acted, refused = run(range(1000, 1400), 25, tmp_path)
    assert not faults, "\n".join(map(str, faults[:10]))
    assert len(acted) > 4000
    seen = {pair for what in acted for pair in what}
    alone = Counter(what[0] for what in refused if len(what) == 1)
    never = {(q, kind) for (q, kind), count in alone.items() if count > 20 and not expected(kind, q)} - seen
    assert not never, "refused wherever it was tried, and not on the list"


@pytest.mark.parametrize("quantity", ["mass", "damping", "kp", "strength"])
def test_nominal_values_change_no_bit(tmp_path, quantity):
    """Not even the last of a moment of inertia, which is mass times a quotient."""
    kind, tried = QUANTITIES[quantity].element, 0
    for seed in range(6):
        (tmp_path / "scene.xml").write_text(generate(seed).xml)
        (tmp_path / "physics.toml").write_text("")
        world = World.load(tmp_path)
        for name in element_names(world.model, kind):
            try:
                domain = Domain.point({f"{name}.{quantity}": nominal_value(world.model, quantity, name)})
                wide = world.for_domain(domain)
            except InvalidValue:
                continue
            simulator, tried = MujocoSimulator(wide, 1, 1), tried + 1
            bare = simulator.snapshot(0)[0]
            values = [[d.value for d in domain.parameters.values()]]
            simulator.set_physics(np.array([0]), domain.names, np.array(values))
            ours = simulator.snapshot(0)[0]
            assert [f for f, read in FIELDS.items() if not np.array_equal(read(ours), read(bare))] == [], name
    assert tried > 1
