"""The effect audit: does each parameter change anything, how much, and if nothing, why?

    audit = audit_world(World.load("hopper"))
    audit.findings[0].name          # the parameter with the largest effect
    audit.refuse()                  # raises DeadParameter if one changes nothing

`check_domain` and `check_variants` are the cheap part, which training and evaluation run before they start;
`audit_randomization` does the same for anybody's code that writes to an ``MjModel``.
"""

from sim2real.audit.check import check_domain, check_variants
from sim2real.audit.finding import Audit, End, Finding
from sim2real.audit.models import Randomization, RandomMotion, audit_randomization
from sim2real.audit.worlds import AuditSettings, audit_world

__all__ = [
    "Audit",
    "AuditSettings",
    "End",
    "Finding",
    "RandomMotion",
    "Randomization",
    "audit_randomization",
    "audit_world",
    "check_domain",
    "check_variants",
]
