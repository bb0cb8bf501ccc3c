"""What a parameter should make of a model: an edit of the scene, by what its elements were written as.

Nothing of the library is used here, and nothing is read off a compiled model but what the compiler works
out itself (masses of geoms, a damping from a ratio, the spring of a springdamper).
"""

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

PIDS = ("pid", "pid with feedforward")
SERVOS = (
    "position",
    "filtered position",
    "damped position",
    "percent",
    "intvelocity",
    *PIDS,
)
SPEED_SERVOS = ("velocity", "velocity with a constant")
ALL_SCALED = (*SERVOS, *SPEED_SERVOS, "orientation")
DC_MOTORS = ("DC motor", "DC motor with controller", "passive DC motor")
LEVERS = {"j2": 0.5, "j3": -0.8}  # of the fixed tendon


class Truth:
    """A scene to edit and compile."""

    def __init__(self, model, path):
        self.drawn, self.spec = model, mujoco.MjSpec.from_file(str(path))
        # of a scene of its own, since the compiler writes some of what it works out into the scene
        self.base, self.written = mujoco.MjSpec.from_file(str(path)).compile(), set()
        for k, joint in enumerate(self.spec.joints):
            if joint.springdamper.any():  # what it came to stays
                dof = self.base.jnt_dofadr[k]
                joint.stiffness[0], joint.damping[0] = self.base.jnt_stiffness[k], self.base.dof_damping[dof]
                joint.springdamper = [0, 0]
        for k, actuator in enumerate(self.spec.actuators):
            if actuator.biasprm[2] > 0 and actuator.gaintype == mujoco.mjtGain.mjGAIN_FIXED:
                actuator.biasprm[2] = self.base.actuator_biasprm[k, 2]  # of a damping ratio

    def compile(self):
        return self.spec.compile()

    def edit(self, element, quantity, value):
        getattr(self, f"_{quantity}")(element, value)

    def element(self, element):
        plural = {"body": "bodies"}.get(element.kind, f"{element.kind}s")
        return getattr(self.spec, plural)[element.number]

    def body(self, element, simple=None):
        """A body with its inertia written out."""
        body, k = self.element(element), element.number
        body.simple = body.simple if simple is None else simple
        if k not in self.written:
            body.explicitinertial = True
            body.mass, body.inertia = self.base.body_mass[k], self.base.body_inertia[k]
            body.ipos, body.iquat = self.base.body_ipos[k], self.base.body_iquat[k]
            body.fullinertia = np.full(6, np.nan)
            self.written.add(k)
        return body

    def _mass(self, element, value):
        body = self.body(element)
        body.inertia = body.inertia * value / body.mass
        body.mass = value

    def _payload(self, element, value):
        self.body(element).mass += value

    def _com_x(self, element, value):
        self.body(element, 0).ipos[0] = value

    def _inertia_log_mass(self, element, value):
        body = self.body(element, 0)
        for field in ("mass", "inertia", "fullinertia"):
            setattr(body, field, getattr(body, field) * np.exp(value))

    def _inertia_shift_y(self, element, value):
        self.body(element, 0).ipos[1] += value

    def _inertia_stretch_x(self, element, value):
        self.deform(element, np.diag([np.exp(value), 1, 1]))

    def _inertia_shear_xy(self, element, value):
        self.deform(element, np.eye(3) + value * np.outer([1, 0, 0], [0, 1, 0]))

    def deform(self, element, change):
        """Every point of mass moves by a matrix about the centre of mass."""
        body = self.body(element, 0)
        axes = Rotation.from_quat(np.roll(body.iquat, -1)).as_matrix()
        inertia = axes @ np.diag(body.inertia) @ axes.T
        second = change @ (np.trace(inertia) / 2 * np.eye(3) - inertia) @ change.T
        inertia = np.trace(second) * np.eye(3) - second
        body.iquat, body.inertia = [1, 0, 0, 0], [0, 0, 0]
        body.fullinertia = [*np.diag(inertia), inertia[0, 1], inertia[0, 2], inertia[1, 2]]

    def _friction(self, element, value):
        self.element(element).friction[0] = value

    def _height(self, element, value):
        geom = self.element(element)
        for body in self.drawn.elements:
            if body.kind == "body" and body.number == self.base.geom_bodyid[element.number]:
                self.body(body)  # the mass stays where it is
        geom.pos[2] = value

    def _damping(self, element, value):
        self.element(element).damping[0] = value

    def _stiffness(self, element, value):
        self.element(element).stiffness[0] = value

    def _armature(self, element, value):
        self.element(element).armature = value

    def _frictionloss(self, element, value):
        self.element(element).frictionloss = value

    def _stuck(self, element, value):
        self.element(element).frictionloss += 1e4 * value

    def _gravity(self, _, value):
        gravity = self.spec.option.gravity
        size = np.linalg.norm(gravity)
        self.spec.option.gravity = value * (gravity / size if size else np.array([0, 0, -1.0]))

    def _slope_x(self, _, value):
        self.spec.option.gravity = Rotation.from_euler("x", value).apply(self.spec.option.gravity)

    def _slope_y(self, _, value):
        self.spec.option.gravity = Rotation.from_euler("y", value).apply(self.spec.option.gravity)

    def _wind_x(self, _, value):
        self.spec.option.wind[0] = value

    def _air_density(self, _, value):
        self.spec.option.density = value

    def _latency(self, element, value):
        actuator = self.element(element)
        actuator.nsample = int(value)
        actuator.delay = max(value - 0.5, 0.0) * self.spec.option.timestep

    def _strength(self, element, value):
        actuator, what = self.element(element), element.what
        if "muscle" in what:
            place = 3 if what.startswith("scaled") else 2
            actuator.gainprm[place] *= value
            actuator.biasprm[place] *= value
        else:
            actuator.gainprm[:3] *= value
            if actuator.biastype != mujoco.mjtBias.mjBIAS_NONE:
                actuator.biasprm[:1] *= value
            if what in ALL_SCALED:
                actuator.biasprm[1:3] *= value
        if element.facts["limited"]:
            actuator.forcerange = np.array(actuator.forcerange) * value
        for limited in self.limits(element):
            limited.actfrcrange = np.array(limited.actfrcrange) * value

    def limits(self, element):
        """Joints and tendons at which the force of an actuator is limited."""
        kind, name = element.facts["target"].split('"')[:2]
        moved = {
            "j1": [1],
            "j2": [2],
            "wire": [2, 3],
            "cord": [0, 1],
            "arm": [0, 1, 2, 3],  # an adhesion pulls at whatever it touches
            "root joint": [0],
        }.get(name, [1] if kind.startswith("crank") else [0, 1])
        scalar = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
        places = [joint for k, joint in enumerate(self.spec.joints) if k in moved and joint.type in scalar]
        places += [self.spec.tendon(name)] if kind == "tendon=" else []
        return [place for place in places if place.actfrcrange[0] < place.actfrcrange[1]]

    def _kp(self, element, value):
        actuator = self.element(element)
        if element.what in DC_MOTORS:
            actuator.gainprm[4] = value
            return
        old = actuator.gainprm[0] if element.what == "orientation" else -actuator.biasprm[1]
        if element.what not in PIDS:  # whose gain is that of the integral
            actuator.gainprm[0] *= value / old
        actuator.biasprm[1] = -value

    def _kd(self, element, value):
        actuator = self.element(element)
        if element.what in DC_MOTORS:
            actuator.gainprm[6] = value
            return
        if element.what in SPEED_SERVOS:
            actuator.gainprm[0] = value
        actuator.biasprm[2] = -value

    def biased(self, element):
        actuator = self.element(element)
        if actuator.biastype == mujoco.mjtBias.mjBIAS_NONE:
            actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
            actuator.biasprm[:3] = 0
        return actuator

    def _back_emf(self, element, value):
        self.biased(element).biasprm[2] = -value

    def _bias_torque(self, element, value):
        self.biased(element).biasprm[0] += value

    def _torque_limit(self, element, value):
        actuator = self.element(element)
        if element.facts["limited"]:
            actuator.forcerange = [0 if element.what == "orientation" else -value, value]
        else:
            size = abs(element.facts["gear"]) * value
            self.spec.joint(element.facts["target"].split('"')[1]).actfrcrange = [-size, size]

    def _encoder_offset(self, element, value):
        for other in self.drawn.elements:
            target = other.facts.get("target", "") if other.kind == "actuator" else ""
            name = target.split('"')[1] if target else ""
            lever = 1.0 if target.startswith("joint") and name == element.name else 0.0
            lever = LEVERS.get(element.name, 0.0) if target == 'tendon="wire"' else lever
            if other.what in SERVOS and lever:
                actuator = self.element(other)
                actuator.biasprm[0] += actuator.biasprm[1] * lever * other.facts["gear"] * value
