"""Which geoms may touch, held against the contacts that the engine makes; and how long asking may take."""

import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest

from sim2real.world.contacts import possible_partners

sys.path.insert(0, str(Path(__file__).parent))
from generator import generate


@pytest.mark.parametrize("parents", [True, False])
@pytest.mark.parametrize("seed", range(15))
def test_geoms_may_touch_that_the_engine_lets_touch_from_afar(seed, parents):
    model = mujoco.MjModel.from_xml_string(generate(seed).xml)
    model.opt.disableflags = 0 if parents else int(mujoco.mjtDisableBit.mjDSBL_FILTERPARENT)
    model.geom_type[1:] = (
        mujoco.mjtGeom.mjGEOM_SPHERE
    )  # boxes far apart make no contact whatever their margin
    for margin in (model.geom_margin, model.pair_margin, model.body_margin):
        margin[:] = 50.0
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    met = {tuple(sorted(pair)) for pair in data.contact.geom.tolist()}
    may = {tuple(sorted((g, other))) for g in range(model.ngeom) for other in possible_partners(model, g)}
    assert may == met
    assert may


def test_every_partner_is_one_in_return():
    model = mujoco.MjModel.from_xml_string(generate(3).xml)
    may = np.zeros((model.ngeom, model.ngeom), dtype=bool)
    for geom in range(model.ngeom):
        may[geom, possible_partners(model, geom)] = True
    assert np.array_equal(may, may.T)
