"""Domains draw what they say, keep every bit in a file, and refuse what can't be drawn from."""

import re

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest, loguniform, spearmanr, truncnorm

from sim2real.distributions import LogUniform, Normal, Point, Samples, Uniform
from sim2real.domain import Correlation, Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.parameters import Parameter

U = np.random.default_rng(0).random((4000, 1))


def column(distribution, name="pole.mass", u=U):
    return Domain({name: distribution}).quantile(u)[:, 0]


@pytest.mark.parametrize(
    ("distribution", "truth"),
    [
        (Uniform(0.2, 0.7), "uniform"),
        (LogUniform(1e-3, 10.0), loguniform(1e-3, 10.0)),
        (Normal(1.0, 0.2, 0.7, 1.1), truncnorm(-1.5, 0.5, 1.0, 0.2)),
        (Normal(0.1, 0.5, 1e-9, 2.0), truncnorm((1e-9 - 0.1) / 0.5, 3.8, 0.1, 0.5)),
        (Normal(0.0, 1.0, 5.0, 6.0), truncnorm(5.0, 6.0)),
        (Normal(9.0, 1.0, 1.0, 2.0), truncnorm(-8.0, -7.0, 9.0, 1.0)),
    ],
)
def test_draws_follow_their_law(distribution, truth):
    drawn = column(distribution)
    low, high = distribution.support()
    assert ((drawn >= low) & (drawn <= high)).all()
    cdf = (lambda x: (x - low) / (high - low)) if truth == "uniform" else truth.cdf
    assert kstest(drawn, cdf).pvalue > 1e-3


@pytest.mark.parametrize("low", [-9.0, -3.0, -0.5, 0.5, 3.0, 9.0, 30.0])
@pytest.mark.parametrize("width", [0.1, 1.0, 5.0])
def test_truncated_normal_against_scipy(low, width):
    u = np.linspace(0, 1, 41)[:-1, None]
    ours = column(Normal(0.3, 2.0, 0.3 + 2 * low, 0.3 + 2 * (low + width)), "pole.com_x", u)
    truth = truncnorm(low, low + width, 0.3, 2.0).ppf(u[:, 0])
    np.testing.assert_allclose(ours, truth, rtol=1e-6, atol=1e-6)


def test_truncation_beyond_floating_point_stays_inside():
    drawn = column(Normal(0.1, 1e-3, 1.0, 2.0))
    assert ((drawn >= 1.0) & (drawn <= 2.0)).all()


def test_whole_numbers_alike_and_both_ends_included():
    drawn = column(Uniform(2, 6), "motor.latency")
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [2, 3, 4, 5, 6]
    assert abs(counts / len(drawn) - 0.2).max() < 0.03
    edge = np.array([[0.0], [np.nextafter(1.0, 0.0)]])
    assert column(Uniform(2, 6), "motor.latency", edge).tolist() == [2, 6]
    for distribution in (Normal(3.3, 1.0, 1, 7), LogUniform(1, 9)):
        drawn = column(distribution, "motor.latency")
        np.testing.assert_array_equal(drawn, np.round(drawn))


def test_point_is_always_itself():
    assert (column(Point(0.3)) == 0.3).all()
    assert Domain.point({"pole.mass": 0.3, "motor.latency": 2}).is_point
    assert Domain.point({"pole.mass": 0.3, "motor.latency": 2}).median() == {
        "pole.mass": 0.3,
        "motor.latency": 2,
    }
    assert Domain({}).is_point
    assert Domain({"pole.mass": Uniform(0.3, 0.3)}).is_point
    assert not Domain({"pole.mass": Point(0.3), "motor.latency": Uniform(0, 1)}).is_point


def test_columns_follow_the_names_and_are_independent():
    domain = Domain({"a.mass": Uniform(1, 2), "b.mass": Uniform(10, 20), "c.mass": Point(5)})
    drawn = domain.sample(np.random.default_rng(1), 4000)
    assert drawn.shape == (4000, 3)
    assert domain.names == ("a.mass", "b.mass", "c.mass")
    assert [int(x) for x in drawn.min(axis=0)] == [1, 10, 5]
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.06


def test_sample_set_is_drawn_by_rows():
    rows = np.random.default_rng(2).uniform(0.1, 1.0, (7, 2))
    domain = Domain(
        {
            "a.mass": Samples(tuple(rows[:, 0])),
            "between.mass": Uniform(1, 2),
            "b.mass": Samples(tuple(rows[:, 1])),
        }
    )
    drawn = domain.sample(np.random.default_rng(3), 7000)[:, [0, 2]]
    picked, counts = np.unique(drawn, axis=0, return_counts=True)
    np.testing.assert_array_equal(picked, rows[np.argsort(rows[:, 0])])
    assert counts.min() > 850


@pytest.mark.parametrize("other", [(), (9.0, 1.0, 5.0, 5.1, 4.9)])
def test_the_middle_of_sample_sets_is_the_row_nearest_their_medians(other):
    """Not the one that happens to stand in the middle."""
    domain = {"b.damping": Uniform(1, 3), "a.mass": Samples((0.1, 0.4, 0.9, 0.3, 0.2))}
    if other:
        domain["c.mass"] = Samples(other)
    middle = Domain(domain).median()
    assert middle["a.mass"] == 0.3
    assert middle["b.damping"] == 2.0
    assert middle.get("c.mass", 5.1) == 5.1


def test_correlated_draws():
    corr = ((1.0, 0.8, -0.5), (0.8, 1.0, -0.3), (-0.5, -0.3, 1.0))
    domain = Domain(
        {
            "a.mass": Uniform(1, 2),
            "free.mass": Uniform(1, 2),
            "b.mass": LogUniform(0.1, 10),
            "c.mass": Normal(1, 0.1, 0.9, 1.3),
        },
        Correlation(("c.mass", "a.mass", "b.mass"), corr),
    )
    drawn = domain.sample(np.random.default_rng(4), 40_000)
    measured = spearmanr(drawn[:, [3, 0, 2]]).statistic
    expected = 6 / np.pi * np.arcsin(np.array(corr) / 2)  # Gaussian copula: Nelsen 2006
    np.testing.assert_allclose(measured, expected, atol=0.02)
    assert np.abs(spearmanr(drawn).statistic[1, [0, 2, 3]]).max() < 0.02
    alone = Domain(dict(domain.parameters)).sample(np.random.default_rng(5), 40_000)
    for k in range(4):  # the copula leaves the margins alone
        assert ks_2samp(drawn[:, k], alone[:, k]).pvalue > 1e-3


def test_correlation_survives_a_uniform_of_zero():
    domain = Domain(
        {"a.mass": Uniform(1, 2), "b.mass": Uniform(1, 2)},
        Correlation(("a.mass", "b.mass"), ((1.0, 0.9), (0.9, 1.0))),
    )
    drawn = domain.quantile(np.array([[0.0, 0.0], [np.nextafter(1.0, 0.0)] * 2]))
    np.testing.assert_allclose(drawn, [[1, 1], [2, 2]])


def random_domain(rng):
    """Any domain: each of a few parameters with any distribution, half of them correlated."""
    rows = int(rng.integers(1, 6))
    parameters = {}
    for name in rng.permutation(
        ["a.mass", "b.b.mass", "c.com_x", "d é.damping", "m.latency", "world.gravity"]
    ):
        low, high = np.sort(10.0 ** rng.uniform(-8, 3, 2))
        if name == "m.latency":
            low, high = np.sort(rng.integers(1, 20, 2)).astype(float)
        parameters[str(name)] = (
            Point(low),
            Uniform(low, high),
            LogUniform(low, high),
            Normal(rng.normal(), 10.0 ** rng.uniform(-3, 3), low, high),
            Samples(tuple(low * np.ones(rows)) if name == "m.latency" else tuple(rng.random(rows) + 0.1)),
        )[rng.integers(5)]
    free = [name for name, d in parameters.items() if not isinstance(d, Samples)]
    if len(free) < 2 or rng.random() < 0.5:
        return Domain(parameters)
    half = rng.normal(size=(len(free), 3 * len(free)))
    matrix = np.corrcoef(half)
    return Domain(parameters, Correlation(tuple(free), tuple(map(tuple, matrix.tolist()))))


@pytest.mark.parametrize("seed", range(40))
def test_file_keeps_every_bit(seed, tmp_path):
    rng = np.random.default_rng(seed)
    for k in range(5):
        domain = random_domain(rng)
        domain.save(tmp_path / f"{k}.toml")
        loaded = Domain.load(tmp_path / f"{k}.toml")
        assert loaded == domain
        assert loaded.names == domain.names
        u = rng.random((3, len(domain.names)))
        np.testing.assert_array_equal(loaded.quantile(u), domain.quantile(u))


def test_file_written_by_hand(tmp_path):
    (tmp_path / "posterior.toml").write_text(
        """
        [parameters]
        "a.mass" = 0.3
        "b.mass" = { value = 1 }
        "c.damping" = { uniform = [0, 1], unit = "N·s/m" }
        "d.mass" = { normal = [1.0, 0.1] }
        "e.mass" = { normal = [1.0, 0.1], within = [0.9, 1.2], unit = "kg" }
        "f.mass" = { samples = [1, 2.5] }
        """
    )
    domain = Domain.load(tmp_path / "posterior.toml")
    assert domain.parameters["a.mass"] == Point(0.3)
    assert domain.parameters["b.mass"] == Point(1.0)
    assert domain.parameters["c.damping"] == Uniform(0.0, 1.0)
    assert domain.parameters["d.mass"] == Normal(1.0, 0.1, 1e-9, 1e300)
    assert domain.parameters["e.mass"] == Normal(1.0, 0.1, 0.9, 1.2)
    assert domain.parameters["f.mass"] == Samples((1.0, 2.5))


def test_box_of_training_ranges():
    a = Parameter("a.mass", "kg", 1, 0.5, 2, "made up")
    b = Parameter("b.damping", "N·s/m", 1, 0.1, 10, "made up", scale="log")
    assert Domain.box([a, b]).parameters == {"a.mass": Uniform(0.5, 2), "b.damping": LogUniform(0.1, 10)}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"pole.mass": Uniform(0.3, 0.1)}, "pole.mass has the range [0.3, 0.1] reversed; give the lower end"),
        ({"pole.mass": Uniform(float("nan"), 0.1)}, "pole.mass = nan is not a finite number"),
        ({"pole.mass": Point(float("inf"))}, "pole.mass = inf is not a finite number"),
        ({"pole.mass": Point(-0.1)}, "pole.mass = -0.1 kg is impossible; it must be at least 1e-09"),
        ({"pole.mass": Samples((0.1, float("nan")))}, "pole.mass = nan is not a finite number"),
        ({"pole.mass": Samples(())}, "pole.mass has an empty sample set; give at least one value"),
        ({"pole.mass": Normal(float("nan"), 1, 0.1, 1)}, "pole.mass has the mean nan; give a finite number"),
        ({"pole.mass": Normal(1, 0, 0.1, 1)}, "pole.mass has the standard deviation 0; it must be > 0"),
        ({"pole.mass": Normal(1, -1, 0.1, 1)}, "pole.mass has the standard deviation -1; it must be > 0"),
        ({"pole.mass": Normal(1, 1, 0.2, 0.1)}, "reversed"),
        ({"pole.com_x": LogUniform(-1, 1)}, "pole.com_x is log-uniform from -1; the lower end must be > 0"),
        ({"hinge.damping": LogUniform(0, 1)}, "hinge.damping is log-uniform from 0"),
        ({"motor.latency": Uniform(0, 2.5)}, "motor.latency = 2.5 must be a whole number of physics steps"),
        ({"a.mass": Samples((1.0,)), "b.mass": Samples((1.0, 2.0))}, "sample sets of [1, 2] values can't be"),
        ({"a.mass": 3.0}, "a.mass is given as 3.0; give a distribution of sim2real.domain, as Point(1.0)"),
        ({"a.mass": (1.0, 3.0)}, "a.mass is given as (1.0, 3.0); give a distribution"),
        ({3: Point(1.0)}, "parameter 3 is not of the form <element>.<quantity>"),
        ([("a.mass", Point(1.0))], "is no mapping of parameters to distributions"),
    ],
)
def test_refuses_what_cannot_be_drawn_from(parameters, said):
    with pytest.raises(InvalidValue, match=re.escape(said)):
        Domain(parameters)


def test_numbers_of_numpy_are_numbers():
    ends = np.int8(0), np.float32(3)
    samples = Domain({"a.mass": Samples(np.array([1.0, 2.0])), "b.latency": Uniform(*ends)})
    assert samples == Domain({"a.mass": Samples((1.0, 2.0)), "b.latency": Uniform(0, 3)})
    assert Domain.point({"a.mass": np.float32(0.5)}) == Domain({"a.mass": Point(0.5)})
    for value in (None, "3", np.array([3.0])):
        with pytest.raises(InvalidValue, match="is not a number; give one in kg"):
            Domain.point({"a.mass": value})


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ([[1.0, 0.5]], "the correlation of 2 parameters must be 2 × 2 finite numbers"),
        ([[1.0, 0.5], [0.5]], "the correlation of 2 parameters must be 2 × 2 finite numbers"),
        ([[1.0, float("nan")], [float("nan"), 1.0]], "must be 2 × 2 finite numbers"),
        ([[1.0, 0.5], [0.4, 1.0]], "a correlation matrix is symmetric with ones on its diagonal"),
        ([[2.0, 0.5], [0.5, 1.0]], "a correlation matrix is symmetric with ones on its diagonal"),
        ([[1.0, 1.0], [1.0, 1.0]], "the correlation matrix is not positive definite"),
        (3, "'matrix' of a correlation is 3 where a list is meant"),
        ([1.0, 0.5], "correlation: 1.0 is not a list of numbers"),
    ],
)
def test_refuses_impossible_correlations(matrix, said):
    table = {
        "parameters": {"a.mass": {"uniform": [1, 2]}, "b.mass": {"uniform": [1, 2]}},
        "correlation": {"names": ["a.mass", "b.mass"], "matrix": matrix},
    }
    with pytest.raises(InvalidValue, match=re.escape(said)):
        Domain.from_toml(table)


def test_correlation_names_drawn_parameters_once():
    both = {"a.mass": Uniform(1, 2), "b.mass": Samples((1.0,))}
    half = ((1.0, 0.5), (0.5, 1.0))
    with pytest.raises(
        UnknownName, match=r"unknown parameter in the correlation 'a.mas': did you mean 'a.mass'"
    ):
        Domain(both, Correlation(("a.mas", "b.mass"), half))
    with pytest.raises(InvalidValue, match=r"b\.mass is a sample set, whose rows carry its correlation"):
        Domain(both, Correlation(("a.mass", "b.mass"), half))
    with pytest.raises(InvalidValue, match=r"the correlation names a\.mass twice"):
        Domain(both, Correlation(("a.mass", "a.mass"), half))
    with pytest.raises(InvalidValue, match="the correlation names no parameter; leave it out"):
        Domain(both, Correlation((), ()))


def test_a_range_that_no_float_is_wide_enough_for_is_refused():
    with pytest.raises(
        InvalidValue, match=r"a\.com_z has the range \[-1e\+308, 1e\+308\] wider than a float"
    ):
        Domain({"a.com_z": Uniform(-1e308, 1e308)})


@pytest.mark.parametrize(
    ("entry", "kind", "said"),
    [
        ({"uniform": [0.1, 0.2], "unit": "g"}, InvalidValue, "pole.mass is given in 'g'; possible: 'kg'"),
        ({"uniform": [0.2, 0.1]}, InvalidValue, "reversed"),
        ({"uniform": [0.1]}, InvalidValue, "pole.mass: [0.1] has 1 numbers where two are meant"),
        ({"uniform": 0.1}, InvalidValue, "pole.mass: 0.1 is not a list of numbers"),
        ({"uniform": [0.1, "x"]}, InvalidValue, "is not a list of numbers"),
        ({"unifrom": [0.1, 0.2]}, UnknownName, "did you mean 'uniform'"),
        ({}, UnknownName, "unknown distribution of pole.mass 'none'"),
        ({"value": 0.1, "uniform": [0.1, 0.2]}, UnknownName, "unknown distribution of pole.mass"),
        ({"uniform": [0.1, 0.2], "within": [0.1, 0.15]}, InvalidValue, "'within' belongs to a normal"),
        ("0.1", InvalidValue, "pole.mass = '0.1' is neither a number nor a table with one of"),
        (True, InvalidValue, "pole.mass = True is not a number"),
        (float("nan"), InvalidValue, "pole.mass = nan is not a finite number"),
    ],
)
def test_refuses_entries_of_a_file(entry, kind, said):
    with pytest.raises(kind, match=re.escape(said)):
        Domain.from_toml({"parameters": {"pole.mass": entry}})


def test_refuses_files_that_are_no_domain(tmp_path):
    with pytest.raises(UnknownName, match=r"unknown key of a domain 'parameter': did you mean 'parameters'"):
        Domain.from_toml({"parameter": {}})
    with pytest.raises(InvalidValue, match="'parameters' of a domain is not a table"):
        Domain.from_toml({"parameters": [1]})
    with pytest.raises(InvalidValue, match="needs exactly 'names' and 'matrix'"):
        Domain.from_toml({"correlation": {"names": []}})
    with pytest.raises(UnknownName, match=r"pole\.mas.*did you mean 'mass'"):
        Domain.from_toml({"parameters": {"pole.mas": 1.0}})
    (tmp_path / "broken.toml").write_text("[parameters\n")
    with pytest.raises(InvalidValue, match=r"broken\.toml is not a TOML file: "):
        Domain.load(tmp_path / "broken.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidValue, match=r"binary\.toml: not a text file in UTF-8"):
        Domain.load(tmp_path / "binary.toml")
    with pytest.raises(FileNotFoundError):
        Domain.load(tmp_path / "missing.toml")


def test_domains_are_joined_with_their_correlations():
    one = Domain({"a.mass": Normal(1, 0.1, 0.5, 2), "b.mass": Point(1.0), "c.mass": Normal(1, 0.1, 0.5, 2)})
    one = Domain(one.parameters, Correlation(("a.mass", "c.mass"), ((1.0, 0.5), (0.5, 1.0))))
    other = Domain({"d.height": Normal(0, 0.1, -1, 1), "d.friction": Normal(1, 0.1, 0, 2)})
    other = Domain(other.parameters, Correlation(("d.height", "d.friction"), ((1.0, -0.3), (-0.3, 1.0))))
    both = one.joined(other)
    assert both.names == (*one.names, *other.names)
    draws = np.corrcoef(both.sample(np.random.default_rng(0), 4000).T[[0, 2, 3, 4]])
    expected = np.array([[1, 0.5, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, -0.3], [0, 0, -0.3, 1]])
    assert draws == pytest.approx(expected, abs=0.06)
