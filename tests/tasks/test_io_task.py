"""A task from a table, against a plain loop that computes torques and observations by hand."""

from itertools import product

import mujoco
import numpy as np
import pytest

import sim2real
from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName

SCENE = """
<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <geom name="floor" type="plane" size="0 0 1"/>
    <body name="trunk" pos="0 0 0.6">
      <freejoint name="floating"/>
      <geom type="box" size="0.2 0.1 0.05" mass="5"/>
      <body name="thigh" pos="0.1 0 0">
        <joint name="hip" axis="0 1 0" damping="0.1" armature="0.01"/>
        <geom type="capsule" fromto="0 0 0 0 0 -0.2" size="0.03" mass="1"/>
        <body name="shin" pos="0 0 -0.2">
          <joint name="knee" axis="0 1 0" armature="0.01" actuatorfrcrange="-9 9"/>
          <geom type="capsule" fromto="0 0 0 0 0 -0.2" size="0.03" mass="0.5"/>
        </body>
      </body>
      <body name="arm" pos="-0.1 0 0">
        <joint name="shoulder" axis="0 1 0" armature="0.02"/>
        <geom type="capsule" fromto="0 0 0 0 0 0.2" size="0.03" mass="0.5"/>
        <body name="hand" pos="0 0 0.2">
          <joint name="wrist" axis="1 0 0" armature="0.02" damping="0.2"/>
          <geom type="capsule" fromto="0 0 0 0 0 0.2" size="0.03" mass="0.3"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="hip_motor" joint="hip" gear="3" ctrlrange="-2 2"/>
    <motor name="knee_motor" joint="knee"/>
    <motor name="shoulder_motor" joint="shoulder" gear="-2"/>
  </actuator>
</mujoco>
"""
TABLE = """
control_dt = 0.02
episode = 1.0
command = [[0.2, 0.4], 0.0, [-0.1, 0.1]]
base = "floating"
num_obs = 34

[[joints]]
name = "knee"
default = -0.4
stiffness = 30.0
damping = 0.5

[[joints]]
name = "hip"
default = 0.2
stiffness = 40.0
damping = 1.0

[[joints]]
name = "wrist"
stiffness = 0.0
damping = 2.0

[[joints]]
name = "shoulder"
effort = 1.5

[[observation]]
term = "base_lin_vel"
at = [0.1, 0.0, -0.05]
scale = 2.0

[[observation]]
term = "base_ang_vel"
clip = 0.5
scale = 0.25

[[observation]]
term = "projected_gravity"

[[observation]]
term = "command"

[[observation]]
term = "joint_pos"
history = 3

[[observation]]
term = "joint_pos"
joints = ["shoulder"]
relative = false

[[observation]]
term = "joint_vel"
joints = ["hip", "knee"]
scale = {knee = 0.1}

[[observation]]
term = "last_action"

[[observation]]
term = "phase"
period = 0.5

[[observation]]
term = "height"

[[action]]
term = "joint_position"
joints = ["hip", "knee"]
scale = [0.5, 0.25]
clip = [-0.5, 0.5]

[[action]]
term = "joint_velocity"
joints = ["wrist"]
scale = 2.0

[[action]]
term = "joint_effort"
joints = ["shoulder"]
scale = 3.0
"""


@pytest.fixture
def make(tmp_path):
    """Worlds of a scene and a table, some of its text replaced."""

    def world(*changes, scene=SCENE):
        text = TABLE
        for old, new in changes:
            assert text.count(old) >= 1
            text = text.replace(old, new)
        folder = tmp_path / f"world_{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "scene.xml").write_text(scene)
        (folder / "physics.toml").write_text("")
        (folder / "io.toml").write_text(text)
        return sim2real.World.load(folder)

    return world


def by_hand(actions, command, scene=SCENE):
    """Observations after each control step of a loop that knows nothing of tables."""
    model = mujoco.MjModel.from_xml_string(
        scene.replace("</actuator>", '<motor name="wrist_motor" joint="wrist"/></actuator>')
    )
    data, past, seen = mujoco.MjData(model), [], []
    order = ["knee", "hip", "wrist", "shoulder"]
    places = [model.joint(name).qposadr[0] for name in order]
    dofs = [model.joint(name).dofadr[0] for name in order]

    def look(step, action):
        w, x, y, z = data.qpos[3:7]
        turn = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        velocity = turn.T @ data.qvel[:3] + np.cross(data.qvel[3:6], [0.1, 0.0, -0.05])
        angles, speeds = data.qpos[places] - [-0.4, 0.2, 0, 0], data.qvel[dofs]
        past.append(angles)
        phase = 2 * np.pi * (step * 0.02 / 0.5)
        parts = (
            *(2 * velocity, 0.25 * np.clip(data.qvel[3:6], -0.5, 0.5), -turn[2], command),
            *([past[0]] * (3 - len(past)) + past[-3:]),
            *(data.qpos[places[3:]], speeds[[1, 0]] * [1.0, 0.1], action),
            *([np.sin(phase), np.cos(phase)], data.qpos[2:3]),
        )
        seen.append(np.concatenate(parts))

    look(0, np.zeros(4))
    for step, action in enumerate(actions, 1):
        targets = np.clip([0.2 + 0.5 * action[0], -0.4 + 0.25 * action[1]], -0.5, 0.5)
        for _ in range(10):
            angles, speeds = data.qpos[places], data.qvel[dofs]
            hip = 40 * (targets[0] - angles[1]) - 1.0 * speeds[1]
            knee = 30 * (targets[1] - angles[0]) - 0.5 * speeds[0]
            shoulder = np.clip(3.0 * action[3], -1.5, 1.5)
            data.ctrl = hip / 3, knee, shoulder / -2, 2.0 * (2.0 * action[2] - speeds[2])
            mujoco.mj_step(model, data)
        look(step, action)
    return np.array(seen)


def option(integrator):
    """The scene with another integrator."""
    return SCENE.replace('timestep="0.002"', f'timestep="0.002" integrator="{integrator}"')


@pytest.mark.parametrize("integrator", ["Euler", "implicitfast", "implicit"])
def test_gains_terms_and_orders_are_those_of_a_loop_by_hand(make, integrator):
    """Whatever the integrator does with the damping of servos of its own."""
    scene = option(integrator)
    world = make(("period = 0.5", "period = 0.5\n[fall]\nheight = 0.01"), scene=scene)
    env = sim2real.Sim2RealVectorEnv(world, 2, autoreset=False)
    actions = np.random.default_rng(0).uniform(-2, 2, (30, 2, 4)).astype(np.float32)
    seen = [env.reset(seed=3)[0]] + [env.step(action)[0] for action in actions]
    command = seen[0][:, 9:12].astype(float)
    assert command[0, 0] != command[1, 0]
    assert (command[:, 0] > 0.2).all()
    assert (command[:, 1] == 0).all()
    for row in range(2):
        found = np.array(seen)[:, row]
        np.testing.assert_allclose(
            found, by_hand(actions[:, row].astype(float), command[row], scene), atol=1e-6
        )
    limited = np.abs(env.simulator.actuator_force())
    assert (limited[:, 0] <= 2).all()


def test_damping_may_be_within_the_step_as_that_of_the_scenes_own_servos(make):
    """Then gains of the table are those of a servo in the scene."""
    servos = option("implicitfast")
    for joint, gains in (("hip", 'kp="40" kv="1"'), ("knee", 'kp="30" kv="0.5"')):
        servos = servos.replace(f'<motor name="{joint}_motor" ', f'<position name="{joint}_motor" {gains} ')
    servos = servos.replace('gear="3" ctrlrange="-2 2"', "")
    implicit = ("control_dt = 0.02", "control_dt = 0.02\nimplicit_damping = true")
    without = [(f"stiffness = {kp}\ndamping = {kd}\n", "") for kp, kd in ((30.0, 0.5), (40.0, 1.0))]
    plain = option("implicitfast").replace('gear="3" ctrlrange="-2 2"', "")
    ends = []
    for scene, changes in ((servos, [implicit, *without]), (plain, [implicit]), (plain, [])):
        env = sim2real.Sim2RealVectorEnv(make(*changes, scene=scene), 1, autoreset=False)
        env.reset(seed=0)
        for _ in range(10):
            env.step(np.full((1, 4), 0.5, np.float32))
        ends.append(env.simulator.qpos[0].copy())
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-9)
    assert np.abs(ends[2] - ends[0]).max() > 1e-4


def test_other_physics_keeps_the_damping_explicit(make):
    """Gains that are set, and rows that begin anew, go on from what was set."""
    world = make(("period = 0.5", "period = 0.5\n[fall]\nheight = 0.01"), scene=option("implicitfast"))
    other = make(
        *(("period = 0.5", "period = 0.5\n[fall]\nheight = 0.01"), ("damping = 1.0", "damping = 1.5")),
        scene=option("implicitfast"),
    )
    paths = []
    for given, physics in ((other, None), (world, {"parameters": {"hip_motor.kd": 1.5 / 3**2}})):
        env = sim2real.Sim2RealVectorEnv(given, 2, physics, autoreset=False)
        for mask in (None, np.array([True, False])):
            env.reset(seed=0) if mask is None else env.reset(options={"reset_mask": mask})
            for _ in range(5):
                seen, *_ = env.step(np.full((2, 4), 0.5, np.float32))
            paths.append(seen)
    np.testing.assert_allclose(paths[0], paths[2], atol=1e-6)
    np.testing.assert_allclose(paths[1], paths[3], atol=1e-6)


def test_starts_are_spread_about_the_pose(make):
    world = make(("period = 0.5", 'period = 0.5\n[start]\npose = "default"\nheight = 0.7\nspread = 0.1'))
    env = sim2real.Sim2RealVectorEnv(world, 200)
    seen, _ = env.reset(seed=0)
    assert (seen[:, -1] == np.float32(0.7)).all()
    off = seen[:, 20:24]
    assert (np.abs(off) <= 0.1 + 1e-6).all()
    np.testing.assert_allclose(off.std(axis=0), 0.2 / np.sqrt(12), rtol=0.15)


def test_a_scale_below_0_turns_the_sign_of_what_sensors_do_and_of_what_actions_mean(make):
    """A bias is in the signal's own unit, whichever way round the policy sees the signal."""
    world = make(("scale = {knee = 0.1}", "scale = {knee = -0.1}"), ("scale = 3.0", "scale = -3.0"))
    row = '[parameters."{}"]\nunit = "rad/s"\nnominal = 0.0\nsource = "made up"\n'
    given = {"knee_speed.bias": 0.5, "hip_speed.bias": 0.5, "knee_speed.resolution": 0.2}
    (world.path / "physics.toml").write_text("".join(map(row.format, given)))
    plain, off = (
        sim2real.Sim2RealVectorEnv(str(world.path), 1, domain=domain)
        for domain in (None, Domain.point(given))
    )
    names = [signal.name for signal in off.task.observation]
    knee, hip = names.index("knee_speed"), names.index("hip_speed")
    assert [signal.scale for signal in off.task.action][-1] == -3.0
    assert off.task.observation[knee].scale == -10.0
    plain.reset(seed=3), off.reset(seed=3)
    for action in np.random.default_rng(0).uniform(-1, 1, (5, 1, 4)):
        clean, read = plain.step(action)[0][0], off.step(action)[0][0]
        assert read[hip] - clean[hip] == pytest.approx(0.5, abs=1e-5)
        speed = -10.0 * clean[knee]
        assert -10.0 * read[knee] == pytest.approx(0.2 * np.round((speed + 0.5) / 0.2), abs=1e-5)


ACTION = '[[action]]\nterm = "joint_position"'
SCAN = '[[observation]]\nterm = "height_scan"\nrays = 6\noffset = 0.4\nclip = 0.3\nscale = 5.0\n'


def test_an_encoder_reads_too_much_in_the_past_and_in_a_second_term_as_well(make):
    """All that the policy sees of an angle comes from one sensor."""
    world, given = make(), {"shoulder.encoder_offset": 0.05, "hip.encoder_offset": -0.1}
    plain, off = (
        sim2real.Sim2RealVectorEnv(world.for_domain(Domain.point(given)), 1, domain=domain)
        for domain in (None, Domain.point(given))
    )
    read = off.reset(seed=3)[0][0] - plain.reset(seed=3)[0][0]
    names = [signal.name for signal in off.task.observation]
    for name, found in zip(names, read, strict=True):
        joint = name.partition("_angle")[0] if "_angle" in name else ""
        expected = given.get(f"{joint}.encoder_offset", 0.0)
        assert found == pytest.approx(expected, abs=1e-6), name
    assert sum("shoulder_angle" in name for name in names) == 4, "now, twice in the past, and again"


def test_a_height_scan_is_what_rays_to_level_ground_measure(make):
    """Isaac Lab's: z of the base less z of the hit and the offset, of a grid that turns with the heading."""
    scene = SCENE.replace('size="0 0 1"', 'size="0 0 1" pos="0 0 -0.2"')
    world = make(("num_obs = 34", ""), (ACTION, SCAN + ACTION), scene=scene)
    env = sim2real.Sim2RealVectorEnv(world, 2)
    assert [s.name for s in env.task.observation[-6:]] == [f"ground_{k}_below" for k in range(6)]
    alone = '<mujoco><worldbody><geom type="plane" size="0 0 1" pos="0 0 -0.2"/></worldbody></mujoco>'
    ground = mujoco.MjModel.from_xml_string(alone)
    data = mujoco.MjData(ground)
    mujoco.mj_forward(ground, data)
    rng, (seen, _), changed = np.random.default_rng(0), env.reset(seed=0), set()
    for _ in range(12):
        for row, pose in zip(seen, env.simulator.qpos[:, :7], strict=True):
            w, x, y, z = pose[3:]
            yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
            turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
            wanted = []
            for point in product((-0.1, 0.0, 0.1), (-0.05, 0.05)):
                start = np.array([*(pose[:2] + turn @ point), pose[2] + 20.0])
                far = mujoco.mj_ray(
                    ground, data, start, np.array([0, 0, -1.0]), None, 1, -1, np.zeros(1, np.int32)
                )
                wanted.append(5 * np.clip(pose[2] - (start[2] - far) - 0.4, -0.3, 0.3))
            np.testing.assert_allclose(row[-6:], wanted, atol=1e-6)
            changed.add(round(float(row[-1]), 3))
        seen, *_ = env.step(rng.uniform(-1, 1, (2, 4)).astype(np.float32))
    assert len(changed) > 5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "</worldbody>",
            '<geom name="step" type="box" size="1 1 .1" pos="3 0 0"/></worldbody>',
            "geom 'step'",
        ),
        (
            "</worldbody>",
            '<geom name="low" type="plane" size="0 0 1" pos="0 0 -1"/></worldbody>',
            "geom 'low'",
        ),
        ('size="0 0 1"', 'size="0 0 1" euler="0 5 0"', "geom 'floor' is none"),
        ('size="0 0 1"', 'size="0 0 1" contype="0" conaffinity="0"', "give the scene a plane"),
    ],
)
def test_a_height_scan_over_other_ground_is_refused(make, old, new, said):
    scene = SCENE.replace(old, new)
    world = make(("num_obs = 34", ""), (ACTION, SCAN + ACTION), scene=scene)
    with pytest.raises(InvalidValue, match=said):
        sim2real.Sim2RealVectorEnv(world, 1)


def test_a_height_scan_over_ground_that_a_parameter_moves_is_refused(make):
    world = make(("num_obs = 34", ""), (ACTION, SCAN + ACTION))
    moved = Domain({"floor.height": Uniform(-0.1, 0.1)})
    with pytest.raises(InvalidValue, match=r"floor.height moves it"):
        sim2real.Sim2RealVectorEnv(world, 1, domain=moved)
    sim2real.Sim2RealVectorEnv(make(), 1, domain=moved).reset(seed=0)


def test_a_keyframe_is_where_the_scene_puts_it_unless_it_is_left_out(make):
    key = '<keyframe><key qpos="0 0 0.9 1 0 0 0 0.1 0 0 0"/></keyframe></mujoco>'
    scene, heights = SCENE.replace("</mujoco>", key), []
    for pose in ("scene", "qpos0", "default"):
        world = make(("period = 0.5", f'period = 0.5\n[start]\npose = "{pose}"'), scene=scene)
        seen, _ = sim2real.Sim2RealVectorEnv(world, 1).reset(seed=0)
        heights.append((round(float(seen[0, -1]), 6), round(float(seen[0, 21]), 6)))
    assert heights == [(0.9, -0.1), (0.6, -0.2), (0.9, 0.0)]  # of the trunk, and of the hip off its default


def test_a_policy_knows_the_table_that_it_was_made_for(make):
    one = make().contents
    assert one["files"].keys() == {"io.toml"}
    assert make(("default = 0.2", "default = 0.3")).contents["files"] != one["files"]


def test_a_task_of_a_table_passes_the_checker(make):
    assert (
        sim2real.check_task(
            make(
                ("history = 3", "history = 2"),
                ("num_obs = 34", "num_obs = 30"),
                ("0.4], 0.0,", "0.4], [0, 1],"),
            )
        )
        == ()
    )


def test_the_first_command_is_held_before_the_policy_is_asked(make):
    """Also for rows that begin anew while others go on, which notice nothing."""
    world = make(("episode = 1.0", "episode = 0.2\nhold = 0.04"))
    env = sim2real.Sim2RealVectorEnv(world, 2, autoreset=False)
    first, _ = env.reset(seed=0)
    other = sim2real.Sim2RealVectorEnv(world, 2)
    other.reset(seed=0)
    assert env.task.max_steps == 8
    start = by_hand(np.zeros((2, 4)), np.zeros(3))[2]
    np.testing.assert_allclose(first[0, :9], start[:9], atol=1e-6)
    np.testing.assert_allclose(first[0, -3:-1], [np.sin(0.16 * np.pi), np.cos(0.16 * np.pi)], atol=1e-6)
    rows = np.array([True, False])
    rng = np.random.default_rng(0)
    for step in range(6):
        action = rng.uniform(-1, 1, (2, 4)).astype(np.float32)
        one, two = env.step(action)[0], other.step(action)[0]
        if step == 3:
            one, _ = env.reset(options={"reset_mask": rows})
            np.testing.assert_array_equal(one[0, :9], first[0, :9])
        np.testing.assert_array_equal(one[1], two[1])


def test_contacts_are_those_of_the_last_physics_step(make):
    """Of a robot that is let fall: the trunk's touch is a fall, those of the limbs are seen."""
    seen = '[[observation]]\nterm = "contacts"\nbodies = ["hand", "shin", "trunk"]\n[[action]]'
    world = make(
        ("num_obs = 34", ""),
        ('[[action]]\nterm = "joint_position"', f'{seen}\nterm = "joint_position"'),
        ("period = 0.5", 'period = 0.5\n[fall]\nheight = 0.01\ncontacts = ["trunk"]'),
    )
    env = sim2real.Sim2RealVectorEnv(world, 1, autoreset=False)
    model = mujoco.MjModel.from_xml_string(SCENE)
    floor, bodies = model.geom("floor").id, [model.body(name).id for name in ("hand", "shin", "trunk")]
    first, _ = env.reset(seed=0)
    assert first[0, -3:].tolist() == [0, 0, 0]
    met = set()
    while not env.resting[0]:
        seen, _, terminated, *_ = env.step(np.zeros((1, 4), np.float32))
        _, data = env.simulator.snapshot(0)
        touching = {int(model.geom_bodyid[max(pair)]) for pair in data.contact.geom if floor in pair}
        found = {body for body, touch in zip(bodies, seen[0, -3:], strict=True) if touch}
        met |= found
        if not terminated:  # the snapshot is of now
            assert found - touching == set()
    assert met == set(bodies[1:])  # the hand is up
    assert terminated[0]
    with pytest.raises(InvalidValue, match="Bullet has no sensor"):
        sim2real.Sim2RealVectorEnv(world, 1, simulator="bullet")


def test_success_is_staying_up_and_following(make):
    still = (
        ("command = [[0.2, 0.4], 0.0, [-0.1, 0.1]]", "command = [0.0, 0.0, 0.0]"),
        ("period = 0.5", "period = 0.5\n[start]\nheight = 0.3"),
    )

    def success(more):
        env = sim2real.Sim2RealVectorEnv(
            make(*still, ("height = 0.3", f"height = 0.3\n{more}")), 1, autoreset=False
        )
        env.reset(seed=0)
        steps, info = 0, {}
        while not info:
            _, reward, *_, info = env.step(np.zeros((1, 4), np.float32))
            assert 0 < reward[0] <= 1
            steps += 1
        return steps, bool(info["success"][0])

    assert success("[fall]\nheight = 0.01") == (50, True)
    assert success("[fall]\nheight = 0.01\n[success]\ntracking_error = 0.001") == (50, False)
    steps, succeeded = success("[fall]\nheight = 0.9")
    assert steps < 50
    assert not succeeded
    assert success(f"[fall]\nheight = 0.9\n[success]\nupright = {0.02 * (steps - 2):g}") == (steps, True)
    assert success("[fall]\nheight = 0.01\ntilt = 0.01")[0] < 50


@pytest.mark.parametrize(
    ("old", "new", "error", "said"),
    [
        ("num_obs = 34", '[fall]\ncontacts = ["tail"]\n', UnknownName, "unknown body in"),
        ("num_obs = 34", "num_obs = 38", InvalidValue, "make 34 numbers (3 base_lin_vel + 3 base_ang_vel"),
        ('name = "wrist"', 'name = "ankle"', UnknownName, "'wrist'"),
        (
            '"wrist"',
            '"ankle"',
            InvalidValue,
            "drives joint 'ankle', which the scene lacks; it has: floating, hip",
        ),
        ('term = "phase"', 'term = "phases"', UnknownName, "did you mean 'phase'"),
        (
            'term = "phase"\nperiod = 0.5',
            'term = "height_scan"',
            InvalidValue,
            "sees nothing; name bodies, rays",
        ),
        ('"joint_effort"', '"joint_efort"', UnknownName, "did you mean 'joint_effort'"),
        ('"joint_velocity"', '"joint_position"', InvalidValue, "'wrist' needs a stiffness above 0"),
        ('"joint_effort"', '"joint_position"', InvalidValue, "shoulder_motor' is a motor where"),
        (
            'joints = ["shoulder"]\nscale',
            'joints = ["hip"]\nscale',
            InvalidValue,
            "two action terms drive joint 'hip'",
        ),
        ('base = "floating"', "", InvalidValue, "base_lin_vel is about the base"),
        ('base = "floating"', 'base = "hip"', InvalidValue, "a hinge joint where a free one is meant"),
        ("scale = [0.5, 0.25]", "scale = [0.5]", InvalidValue, "scale has 1 numbers, not 2"),
        ("{knee = 0.1}", "{ankle = 0.1}", InvalidValue, "ankle"),
        ("history = 3", "history = -1", InvalidValue, "history is -1"),
        ("clip = [-0.5, 0.5]", "clip = [0.5, -0.5]", InvalidValue, "clip is [0.5, -0.5]; give [least, most]"),
        ("[[0.2, 0.4], 0.0, [-0.1, 0.1]]", '["fast"]', InvalidValue, "command is ['fast']"),
        ("episode = 1.0", 'episode = 1.0\nstart = {pose = "lying"}', UnknownName, "unknown start pose"),
        ("episode = 1.0", "episode = 1.01", InvalidValue, "no multiple of control_dt"),
        ("control_dt = 0.02", "control_dt = 0.0", InvalidValue, "control_dt is 0"),
        ("stiffness = 40.0", "stiffnes = 40.0", InvalidValue, "did you mean"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(make, old, new, error, said):
    with pytest.raises(error) as caught:
        sim2real.Sim2RealVectorEnv(make((old, new)), 1)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
