"""Small legal models over everything that MJCF has, drawn at random, and what each of their elements is.

What an element is called here (a motor, a ball joint, a massless body) is what the generator wrote, so that
it says nothing of how the library reads it off the compiled model.
"""

from dataclasses import dataclass, field

import numpy as np

PID = (
    '<extension><plugin plugin="mujoco.pid"><instance name="pid"><config key="kp" value="20"/>'
    '<config key="ki" value="0"/><config key="kd" value="1"/></instance></plugin></extension>'
)


@dataclass
class Element:
    """One element of a model."""

    kind: str
    """Body, joint, tendon, geom or actuator."""
    what: str
    """Motor, ball, massless, ..."""
    number: int
    name: str
    """Its own; empty for none."""
    facts: dict = field(default_factory=dict)


@dataclass
class Model:
    """A scene, and its elements."""

    xml: str
    elements: list[Element]
    facts: dict

    def named(self, kind: str, name: str) -> Element:
        return next(e for e in self.elements if e.kind == kind and e.name == name)


# shortcut, attributes; all attributes may be given a gear, a force range and a delay buffer besides
ACTUATORS = {
    "motor": ("motor", ""),
    "position": ("position", 'kp="20" kv="1.5"'),
    "filtered position": ("position", 'kp="20" kv="1.5" timeconst="0.1"'),
    "damped position": ("position", 'kp="20" dampratio="1"'),
    "percent": ("general", 'gainprm="0.2" biastype="affine" biasprm="0.3 -10 -0.5" ctrlrange="0 255"'),
    "velocity": ("velocity", 'kv="3"'),
    "velocity with a constant": ("general", 'gainprm="3" biastype="affine" biasprm="0.4 0 -3"'),
    "intvelocity": ("intvelocity", 'kp="20" kv="1.5" actrange="-1 1"'),
    "damper": ("damper", 'kv="3" ctrlrange="0 1"'),
    "cylinder": ("cylinder", 'timeconst="0.1" area="2" bias="0.5 -1 -0.2"'),
    "plain cylinder": ("cylinder", 'timeconst="0.1" area="2"'),
    "muscle": ("muscle", 'lengthrange="-1 1" force="30"'),
    "scaled muscle": ("muscle", 'lengthrange="-1 1" scale="150"'),
    "DC motor as general": ("general", 'gainprm="0.5" biastype="affine" biasprm="0 0 -0.05"'),
    "motor with a constant": ("general", 'gainprm="2" biastype="affine" biasprm="0.7 0 0"'),
    "motor with ignored bias": ("general", 'gainprm="2" biastype="none" biasprm="0.7 -3 -2"'),
    "integrator": ("general", 'gainprm="2" dyntype="integrator"'),
    "spring": ("general", 'gainprm="2" biastype="affine" biasprm="0.1 3 -0.2"'),
    "affine": ("general", 'gaintype="affine" gainprm="2 0.3 0.4" biastype="affine" biasprm="0.7 -3 -0.2"'),
    "affine without bias": ("general", 'gaintype="affine" gainprm="2 0.3 0.4"'),
    "pid": ("pid", 'kp="20" kv="1.5" ki="3"'),
    "pid with feedforward": ("pid", 'kp="20" kv="1.5" input="pos ff"'),
    "DC motor": ("dcmotor", 'resistance="2" motorconst="0.5"'),
    "DC motor with controller": (
        "dcmotor",
        'resistance="2" motorconst="0.5" input="pos vel" controller="10 0 0.5 0 0 0"',
    ),
    "passive DC motor": ("dcmotor", 'resistance="2" motorconst="0.5" input="none"'),
    "orientation": ("orientation", 'kp="20" kv="1.5"'),
    "adhesion": ("adhesion", 'gain="5" ctrlrange="0 1"'),
    "plugin": ("plugin", 'plugin="mujoco.pid" instance="pid"'),
}
NO_RANGE = ("DC motor", "DC motor with controller", "passive DC motor")


def generate(seed: int) -> Model:
    """A model drawn by a seed."""
    draw = Drawn(seed)
    bodies = draw.bodies()
    sections = [draw.options(), PID if draw.plugin else "", f"<worldbody>{bodies}</worldbody>"]
    sections += [draw.tendons(), draw.actuators(), draw.contacts(), draw.equalities()]
    return Model(f"<mujoco>{''.join(sections)}</mujoco>", draw.elements, draw.facts)


class Drawn:
    """A model in the making."""

    def __init__(self, seed):
        self.rng, self.elements, self.counts = np.random.default_rng(seed), [], {}
        self.facts = {"flags": [], "shared": {}}
        self.plugin = self.chance(0.1)

    def chance(self, share):
        return bool(self.rng.random() < share)

    def pick(self, values):
        return values[self.rng.integers(len(values))]

    def some(self, low, high):
        return round(float(self.rng.uniform(low, high)), 3)

    def add(self, kind, what, label, **facts):
        """Note an element, in the order of the compiled model; it may stay nameless."""
        number = self.counts.get(kind, 0)
        self.counts[kind] = number + 1
        nameless = facts.pop("nameless", 0.0)
        name = "" if self.chance(nameless) else label
        element = Element(kind, what, number, name, facts)
        self.elements.append(element)
        return f'name="{name}"' if name else ""

    def options(self):
        gravity = self.pick(["0 0 -9.81", "0 0 -9.81", "0 0 0", "0.6 0 -9.7"])
        air = self.pick(["", "", 'density="1.2"', 'viscosity="0.001"'])
        flag = self.pick([None] * 6 + ["gravity", "damper", "spring", "frictionloss", "actuation", "contact"])
        self.facts |= {"gravity": gravity, "flag": flag, "air": bool(air)}
        disabled = f'<flag {flag}="disable"/>' if flag else ""
        return f'<option timestep="0.002" gravity="{gravity}" {air}>{disabled}</option>'

    def joint(self, label, what):
        passive = [
            f'{key}="{self.some(0.01, 1)}"'
            for key in ("damping", "frictionloss", "armature", "stiffness")
            if self.chance(0.5)
        ]
        facts = {"limited": False, "springdamper": False}
        if what in ("hinge", "slide") and self.chance(0.3):
            facts["limited"] = True
            passive.append('actuatorfrcrange="-2 2"' if self.chance(0.8) else 'actuatorfrcrange="-1 2"')
        if what != "free" and self.chance(0.1):
            facts["springdamper"] = True
            passive = [p for p in passive if not p.startswith(("stiffness", "damping"))]
            passive.append('springdamper="0.5 1"')
        nameless = 0.0 if label in ("j1", "j2", "j3") else 1.0
        name = self.add("joint", what, label, nameless=nameless * self.chance(0.5), **facts)
        axis = f'axis="{self.pick(["1 0 0", "0 1 0", "0.6 0.8 0"])}"' if what in ("hinge", "slide") else ""
        return f'<joint {name} type="{what}" {axis} {" ".join(passive)}/>'

    def geom(self, label, extra=""):
        friction = f'friction="{self.some(0.3, 1.2)} 0.005 0.0001"' if self.chance(0.7) else ""
        condim = f'condim="{self.pick([1, 3, 3, 4])}"' if self.chance(0.3) else ""
        priority = 'priority="1"' if self.chance(0.15) else ""
        ghost = 'contype="0" conaffinity="0"' if self.chance(0.15) else ""
        nameless = 0.0 if label in ("g0", "g1", "g2", "g3") else 0.5
        name = self.add("geom", "geom", label, nameless=nameless)
        shape = self.pick(['type="sphere" size="0.1"', 'type="box" size="0.1 0.05 0.08"'])
        return f"<geom {name} {extra or shape + ' ' + self.place()} {friction} {condim} {priority} {ghost}/>"

    def place(self):
        return f'pos="{self.some(-0.1, 0.1)} 0 {self.some(-0.1, 0.1)}"' if self.chance(0.7) else ""

    def bodies(self):
        """Floor; a static post; a root; an arm of two joints with a massless mount; a finger beside."""
        self.counts["body"] = 1  # the world
        floor = self.geom("g0", 'type="plane" size="5 5 1"')
        mocap = 'mocap="true"' if self.plugin else ""
        post_name = self.add("body", "mocap" if mocap else "static", "post", nameless=0.3)
        post = f'<body {post_name} {mocap} pos="2 0 0">{self.geom("g1")}</body>'
        root_type = self.pick(["hinge", "slide", "ball", "free", "free"])
        root_name = self.add("body", "moving", "root", nameless=0.2)
        inertial = self.chance(0.3)
        root = f'<body {root_name} pos="0 0 1">{self.joint("root joint", root_type)}{self.geom("g2")}'
        root += '<inertial pos="0.01 0 0.02" mass="0.7" diaginertia="0.01 0.012 0.008"/>' if inertial else ""
        root += '<site name="s1" pos="0 0 0.1"/>'
        arm_name = self.add("body", "moving", "arm")
        root += f'<body {arm_name} pos="0.3 0 0">{self.joint("j1", self.pick(["hinge", "slide"]))}'
        root += f'{self.geom("g3")}<site name="s2" pos="0.1 0 0"/>'
        mount_name = self.add("body", "massless", "mount", nameless=0.3)
        root += f"<body {mount_name}>"
        hand_name = self.add("body", "moving", "hand", nameless=0.2)
        root += f'<body {hand_name} pos="0.2 0 0">{self.joint("j2", "hinge")}{self.geom("g4")}'
        root += f"{self.geom('g5')}</body></body></body>"
        finger_name = self.add("body", "moving", "finger")
        root += (
            f'<body {finger_name} pos="0 0.3 0">{self.joint("j3", "hinge")}{self.geom("g6")}</body></body>'
        )
        return floor + post + root + '<site name="s3" pos="0 0 2"/>'

    def tendons(self):
        passive = [
            f'{key}="{self.some(0.01, 1)}"'
            for key in ("damping", "frictionloss", "stiffness")
            if self.chance(0.4)
        ]
        limit = self.chance(0.3)
        passive.append('actuatorfrcrange="-2 2"' if limit else "")
        fixed = self.add("tendon", "fixed", "wire", limited=limit)
        spatial = self.add("tendon", "spatial", "cord", nameless=0.0)
        return (
            f'<tendon><fixed {fixed} {" ".join(passive)}><joint joint="j2" coef="0.5"/>'
            f'<joint joint="j3" coef="-0.8"/></fixed><spatial {spatial} {passive[0]}>'
            '<site site="s3"/><site site="s2"/></spatial></tendon>'
        )

    def actuators(self):
        return f"<actuator>{''.join(self.actuator(k) for k in range(self.rng.integers(1, 4)))}</actuator>"

    def actuator(self, k):
        kinds = [what for what in ACTUATORS if what != "plugin" or self.plugin]
        what = "plugin" if self.plugin and k == 0 else self.pick(kinds)
        shortcut, attributes = ACTUATORS[what]
        ball = next((e for e in self.elements if e.kind == "joint" and e.what == "ball" and e.name), None)
        targets = {
            "joint": ['joint="j1"', 'joint="j2"', 'joint="j1"', 'jointinparent="j2"'],
            "tendon": ['tendon="wire"', 'tendon="cord"'],
            "site": ['site="s2"', 'site="s2" refsite="s3"'],
            "crank": ['cranksite="s2" slidersite="s1" cranklength="0.4"'],
            "body": ['body="hand"'],
        }
        transmission = self.pick(["joint", "joint", "joint", "tendon", "site", "crank"])
        if what == "orientation":
            target = f'joint="{ball.name}"' if ball else 'site="s2" refsite="s3"'
        elif what == "adhesion":
            target = 'body="arm"'
        else:
            no_site = "muscle" in what or what == "plugin"
            target = self.pick(targets["joint" if no_site and transmission == "site" else transmission])
        lengthless = target == 'site="s2"'
        if what in ("adhesion", "orientation"):
            gear = None
        elif lengthless or "refsite" in target:
            gear = self.pick(["0 0 2 0 0 0", "0 0 1 0 0 0"])
        else:
            gear = self.pick(["1", "3", "-2", "0.5"])
        limited = self.pick([None, None, "-4 4", "-4 4", "-1 4"])
        if what == "orientation" and limited:
            limited = "0 4"
        if what in NO_RANGE:
            attributes += ' saturation="4"' if limited else ""
            limited = limited and "-4 4"
        facts = {
            "target": target,
            "gear": float(gear.split()[0]) if gear else 1.0,
            "limited": limited,
        }
        name = self.add("actuator", what, f"act{k}", nameless=0.4, **facts)
        attributes += f' gear="{gear}"' if gear else ""
        attributes += f' forcerange="{limited}"' if limited and what not in NO_RANGE else ""
        return f"<{shortcut} {name} {target} {attributes}/>"

    def contacts(self):
        rows = []
        if self.chance(0.3):
            friction = f'friction="{self.some(0.3, 0.9)} 0.7 0.01 0.001 0.001"' if self.chance(0.5) else ""
            self.facts["pair"] = ("g0", "g3", bool(friction))
            rows.append(f'<pair geom1="g0" geom2="g3" {friction}/>')
        if self.chance(0.2):
            rows.append('<exclude body1="arm" body2="finger"/>')
        return f"<contact>{''.join(rows)}</contact>" if rows else ""

    def equalities(self):
        self.facts["mimic"] = self.chance(0.3)
        return (
            '<equality><joint joint1="j3" joint2="j2" polycoef="0 0.5 0 0 0"/></equality>'
            if self.facts["mimic"]
            else ""
        )
