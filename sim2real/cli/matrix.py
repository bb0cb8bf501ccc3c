"""Every method of a world in every simulator, domain or world."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sim2real.cli.arguments import positive
from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import ALLOW_DEAD, TASK, load_world
from sim2real.cli.show import show_sections
from sim2real.cli.terminal import counting


@command(
    "matrix",
    option("worlds", nargs="+", metavar="WORLD", help="names or folders; columns if several"),
    option("--policies", nargs="+", metavar="POLICY", help="as of evaluate; default all that are shipped"),
    option("--simulators", nargs="+", help="engines to run in; default all installed, if no --domains"),
    option("--domains", nargs="+", help="to run in: nominal, training, held-out variants, TOML files"),
    option("--episodes", type=positive, default=32, help="per policy and column (32)"),
    option("--trust", action="store_true", help="load TorchScript, which can run code"),
    option("--out", type=Path, help="folder of the results; default runs/matrix-WORLD"),
    ALLOW_DEAD,
    *TASK,
)
def run(arguments: Arguments) -> None:
    """Trained here, run there: simulators, domains or worlds."""
    from sim2real.evaluate.rollouts import Trials
    from sim2real.foreign import load_policy
    from sim2real.pipelines.agreement import MatrixSettings, matrix
    from sim2real.report.matrix import matrix_section
    from sim2real.simulators import installed
    from sim2real.world import SIMULATORS

    worlds = [load_world(name, arguments) for name in arguments.worlds]
    out = arguments.out or Path("runs") / f"matrix-{worlds[0].path.name}"
    simulators = arguments.simulators or []
    if not (simulators or arguments.domains or len(worlds) > 1):
        simulators = [name for name in SIMULATORS if installed(name)]
    specs = arguments.policies or _shipped([world.name for world in worlds])
    policies = [load_policy(spec, arguments.trust) for spec in specs]
    trials = Trials(arguments.episodes, allow_dead=arguments.allow_dead)
    settings = MatrixSettings(trials, counting)
    found = matrix(worlds, policies, simulators, arguments.domains or [], out, settings)
    show_sections(matrix_section(found))
    print(f"wrote {out / 'matrix.png'} and matrix.parquet beside it")


def _shipped(worlds: Sequence[str]) -> list[str]:
    """Policies of the catalogue that were made for some worlds."""
    from sim2real.catalog import entries
    from sim2real.errors import InvalidValue

    found = [name for name in entries("policies") for world in worlds if name.startswith(f"{world}-")]
    if not found:
        raise InvalidValue(f"no policies of {', '.join(worlds)} are shipped; name some with --policies")
    return found
