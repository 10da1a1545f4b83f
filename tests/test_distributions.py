"""Distributions: PyTorch's samples at the same seed, densities, entropies, moments and gradients; divergences, transforms, sets."""

import math
import pickle
from functools import partial

import pytest
import torch as oracle
from both import agree

import chainrule

# How to make each from parameters of shape (2, 3): a, b positive, r real, p inside of (0, 1), s on the simplex; m positive definite
FAMILIES = {
    "Normal": "d.Normal(r, a)",
    "Normal of numbers": "d.Normal(0.5, 2.0)",
    "Laplace": "d.Laplace(r, a)",
    "Cauchy": "d.Cauchy(r, a)",
    "StudentT": "d.StudentT(a + 2, r, b)",
    "Uniform": "d.Uniform(r, r + a)",
    "GeneralizedPareto": "d.GeneralizedPareto(r, a, b - 1)",
    "VonMises": "d.VonMises(r, a)",
    "Exponential": "d.Exponential(a)",
    "Gamma": "d.Gamma(a, b)",
    "Chi2": "d.Chi2(a)",
    "FisherSnedecor": "d.FisherSnedecor(a + 4, b + 5)",
    "Dirichlet": "d.Dirichlet(a)",
    "Beta": "d.Beta(a, b)",
    "Beta of numbers": "d.Beta(2.0, 3.0)",
    "ContinuousBernoulli": "d.ContinuousBernoulli(probs=p)",
    "ContinuousBernoulli near 1/2": "d.ContinuousBernoulli(logits=r * 1e-3)",
    "Bernoulli": "d.Bernoulli(p)",
    "Bernoulli of logits": "d.Bernoulli(logits=r)",
    "Binomial": "d.Binomial(7, p)",
    "Geometric": "d.Geometric(p)",
    "NegativeBinomial": "d.NegativeBinomial(4, p)",
    "NegativeBinomial of logits": "d.NegativeBinomial(a, logits=r)",
    "Poisson": "d.Poisson(a)",
    "Categorical": "d.Categorical(s)",
    "Categorical of logits": "d.Categorical(logits=r)",
    "OneHotCategorical": "d.OneHotCategorical(s)",
    "OneHotCategoricalStraightThrough": "d.OneHotCategoricalStraightThrough(logits=r)",
    "Multinomial": "d.Multinomial(5, s)",
    "MultivariateNormal": "d.MultivariateNormal(r, m)",
    "MultivariateNormal by precision": "d.MultivariateNormal(r, precision_matrix=m)",
    "MultivariateNormal by factor": "d.MultivariateNormal(r[0], scale_tril=t.linalg.cholesky(m))",
    "LowRankMultivariateNormal": "d.LowRankMultivariateNormal(r, m[..., :2], a)",
    "Wishart": "d.Wishart(a[:, 0] + 4, m)",
    "LKJCholesky": "d.LKJCholesky(3, a)",
    "Independent": "d.Independent(d.Normal(r, a), 1)",
    "MixtureSameFamily": "d.MixtureSameFamily(d.Categorical(s), d.Normal(r, a))",
    "MixtureSameFamily of vectors": "d.MixtureSameFamily(d.Categorical(s[0, :2]), d.Independent(d.Normal(r, a), 1))",
    "TransformedDistribution": "d.TransformedDistribution(d.Normal(r, a), [d.TanhTransform(), d.AffineTransform(1.0, -2.0)])",
    "LogNormal": "d.LogNormal(r, a)",
    "LogisticNormal": "d.LogisticNormal(r, a)",
    "HalfNormal": "d.HalfNormal(a)",
    "HalfCauchy": "d.HalfCauchy(a)",
    "InverseGamma": "d.InverseGamma(a + 2, b)",
    "Gumbel": "d.Gumbel(r, a)",
    "Kumaraswamy": "d.Kumaraswamy(a, b)",
    "Pareto": "d.Pareto(a, b)",
    "Weibull": "d.Weibull(a, b)",
    "RelaxedBernoulli": "d.RelaxedBernoulli(t.tensor(0.7).to(p), p)",
    "RelaxedOneHotCategorical": "d.RelaxedOneHotCategorical(t.tensor(0.7).to(r), logits=r)",
}
# The gradients of gamma and Dirichlet numbers have no closed form; PyTorch's are right to some 1e-3 of their value
APPROXIMATE = {"Gamma", "Chi2", "FisherSnedecor", "Dirichlet", "Beta", "Beta of numbers", "StudentT", "InverseGamma", "Wishart"}
SINGLE = {"Beta of numbers", "Normal of numbers", "GeneralizedPareto"}  # numbers are float32; PyTorch mixes types in the last
BESSEL = {"VonMises": {"rtol": 1e-5, "grad_rtol": 1e-3}}  # PyTorch's Bessel functions there are polynomials of single precision
PROPERTIES = ["mean", "mode", "variance", "stddev", "batch_shape", "event_shape", "has_rsample", "support", "arg_constraints"]


def parameters(t, dtype="float64"):
    """Leaves by name, the same under both libraries."""
    t.manual_seed(1)
    r = t.randn(2, 3, dtype=t.float64)
    m = t.randn(2, 3, 3, dtype=t.float64)
    values = {
        "r": r, "a": t.rand(2, 3, dtype=t.float64) + 0.5, "b": t.rand(2, 3, dtype=t.float64) + 0.7,
        "p": t.rand(2, 3, dtype=t.float64) * 0.35 + 0.1, "s": t.softmax(r, -1), "m": m @ m.mT + t.eye(3, dtype=t.float64),
    }  # fmt: skip
    return {name: value.to(getattr(t, dtype)).requires_grad_() for name, value in values.items()}


def made(t, name, dtype="float64"):
    leaves = parameters(t, dtype)
    return eval(FAMILIES[name], {"t": t, "d": t.distributions, **leaves}), leaves


def array(value):
    return value.detach().numpy()


def close(found, expected, rtol=1e-10, atol=1e-12):
    assert str(found.dtype) == str(expected.dtype)
    assert found.shape == expected.shape
    oracle.testing.assert_close(oracle.from_numpy(array(found).copy()), expected.detach(), rtol=rtol, atol=atol, equal_nan=True)


def gradients(value, leaves):
    """The gradients of the sum by name, for the leaves that it depends on; or the error of a backward that cannot be."""
    error = attempt(lambda: (value * value.detach().cos()).sum().backward())
    return error or {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


def attempt(function):
    try:
        return function()
    except (NotImplementedError, RuntimeError) as error:
        return type(error)


def same_gradients(found, expected, ours, theirs, rtol):
    ours, theirs = gradients(found, ours), gradients(expected, theirs)
    if isinstance(theirs, type):
        assert ours is theirs or theirs is RuntimeError  # ours may know a derivative that PyTorch has not
        return
    for leaf in theirs:
        close(ours[leaf], theirs[leaf], rtol, rtol)


def both(name, use, rtol=1e-10, dtype="float64", grad_rtol=1e-8):
    """The same use of a distribution: the same result and gradients, or the same kind of error."""
    if name in SINGLE:
        rtol, grad_rtol = max(rtol, 2e-5), max(grad_rtol, 1e-3)
        dtype = "float32"
    pairs = [made(t, name, dtype) for t in (chainrule, oracle)]
    found, expected = [attempt(partial(use, t, dist)) for t, (dist, _) in zip((chainrule, oracle), pairs, strict=True)]
    if isinstance(expected, type):
        assert found is expected
        return
    if not isinstance(expected, oracle.Tensor):
        assert str(found) == str(expected)
        return
    close(found, expected, rtol)
    assert found.requires_grad == expected.requires_grad
    if expected.requires_grad and bool(expected.isfinite().all()):
        same_gradients(found, expected, pairs[0][1], pairs[1][1], grad_rtol)


@pytest.mark.parametrize("name", FAMILIES)
def test_samples(name):
    def drawn(method, *shape):
        def use(t, dist):
            t.manual_seed(7)
            return getattr(dist, method)(*shape)

        return use

    both(name, drawn("sample"))
    both(name, drawn("sample", (5,)), dtype="float32", rtol=2e-5)
    both(name, drawn("rsample", (4, 2)), grad_rtol=3e-3 if name in APPROXIMATE else 1e-8)


@pytest.mark.parametrize("name", FAMILIES)
def test_densities(name):
    dist, _ = made(oracle, name)
    oracle.manual_seed(3)
    value = dist.sample((4,))

    def at(t):
        return t.tensor(value.tolist(), dtype=getattr(t, str(value.dtype).removeprefix("torch.")))

    both(name, lambda t, dist: dist.log_prob(at(t)), **BESSEL.get(name, {}))
    both(name, lambda t, dist: dist.cdf(at(t)))
    both(name, lambda t, dist: dist.icdf(t.rand(4, 2, 3, dtype=t.float64)))
    both(name, lambda t, dist: dist.entropy())
    both(name, lambda t, dist: dist.perplexity())
    both(name, lambda t, dist: dist.support.check(at(t)))
    both(name, lambda t, dist: dist.enumerate_support())
    both(name, lambda t, dist: dist.enumerate_support(expand=False))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("what", PROPERTIES)
def test_properties(name, what):
    both(name, lambda t, dist: getattr(dist, what), **BESSEL.get(name, {}))


@pytest.mark.parametrize("name", FAMILIES)
def test_expanded(name):
    def use(t, dist):
        shape = (3, *dist.batch_shape)
        wide = dist.expand(shape)
        assert wide.batch_shape == shape and wide.event_shape == dist.event_shape and type(wide) is type(dist)
        t.manual_seed(2)
        return wide.sample((2,))

    both(name, use)
    both(name, lambda t, dist: str(dist))
    both(name, lambda t, dist: str(dist.expand((3, *dist.batch_shape))))
    ours = made(chainrule, name)[0]
    again = pickle.loads(pickle.dumps(ours.expand(ours.batch_shape)))
    assert repr(again) == repr(ours)


def test_gradients_of_gamma_numbers_are_exact():
    """Against the inverse of the distribution function itself, at the same probability."""
    from scipy.special import gammainc, gammaincinv

    chainrule.manual_seed(0)
    a = chainrule.full((50,), 1.7, dtype=chainrule.float64).requires_grad_()
    x = chainrule._standard_gamma(a)
    x.sum().backward()
    u, h = gammainc(1.7, array(x)), 1e-4
    slope = (gammaincinv(1.7 + h, u) - gammaincinv(1.7 - h, u)) / (2 * h)
    oracle.testing.assert_close(oracle.from_numpy(array(a.grad).copy()), oracle.from_numpy(slope), rtol=1e-6, atol=1e-8)


CONTINUOUS = {
    "Beta": "d.Beta(a, b)", "ContinuousBernoulli": "d.ContinuousBernoulli(p)", "Exponential": "d.Exponential(a)", "Gamma": "d.Gamma(a, b)",
    "Gumbel": "d.Gumbel(r, a)", "Laplace": "d.Laplace(r, a)", "Normal": "d.Normal(r, a)", "Pareto": "d.Pareto(a, b + 2)",
    "Uniform": "d.Uniform(p, p + 0.4)", "wide Uniform": "d.Uniform(-a, a + 1)",
}  # fmt: skip
DISCRETE = {
    "Bernoulli": "d.Bernoulli(p)", "Binomial": "d.Binomial(5, p)", "Categorical": "d.Categorical(s)", "Geometric": "d.Geometric(p)",
    "OneHotCategorical": "d.OneHotCategorical(s)", "Poisson": "d.Poisson(a)", "certain Bernoulli": "d.Bernoulli(t.ones(2, 3).double())",
    "Chi2": "d.Chi2(a)", "NegativeBinomial": "d.NegativeBinomial(3, p)",
}  # fmt: skip
OTHERS = {
    "Dirichlet": "d.Dirichlet(a)", "MultivariateNormal": "d.MultivariateNormal(r, m)",
    "LowRankMultivariateNormal": "d.LowRankMultivariateNormal(r, m[..., :2], a)", "HalfNormal": "d.HalfNormal(a)",
    "Independent": "d.Independent(d.Normal(r, a), 1)", "LogNormal": "d.LogNormal(r, a)", "Cauchy": "d.Cauchy(r, a)",
    "shared MultivariateNormal": "d.MultivariateNormal(r[0], m[0])", "Wishart": "d.Wishart(a[:, 0] + 4, m)",
}  # fmt: skip


def pairs():
    return [(table[p], table[q]) for table in (CONTINUOUS, DISCRETE, OTHERS) for p in table for q in table]


@pytest.mark.parametrize(("first", "second"), pairs())
def test_divergences(first, second):
    """Where PyTorch has a formula, its value and gradients; p and q have parameters of their own."""
    results = []
    for t in (chainrule, oracle):
        leaves = parameters(t)
        others = {name: (leaf.flip(0) * 1.1 if name in "rabm" else leaf.flip(0)).detach().requires_grad_() for name, leaf in leaves.items()}
        p, q = [eval(text, {"t": t, "d": t.distributions, **names}) for text, names in ((first, leaves), (second, others))]
        results.append((attempt(partial(t.distributions.kl_divergence, p, q)), leaves | {f"{k} of q": v for k, v in others.items()}))
    (found, ours), (expected, theirs) = results
    if isinstance(expected, type):
        assert found is expected or not isinstance(found, type)  # ours may know more pairs
        return
    close(found, expected, 1e-9, 1e-10)
    if expected.requires_grad and bool(expected.isfinite().all()):
        same_gradients(found, expected, ours, theirs, 1e-7)


TRANSFORMS = """
d.ExpTransform()
d.ExpTransform().inv
d.PowerTransform(t.tensor(0.5))
d.SigmoidTransform()
d.SoftplusTransform()
d.TanhTransform()
d.AbsTransform()
d.AffineTransform(1.0, -2.0)
d.AffineTransform(t.zeros(3), t.arange(1., 4.), event_dim=1)
d.ComposeTransform([d.AffineTransform(0.0, 2.0), d.SigmoidTransform()])
d.ComposeTransform([d.TanhTransform(), d.AffineTransform(0.0, 2.0)], cache_size=1)
d.IndependentTransform(d.ExpTransform(), 1)
d.ReshapeTransform((3,), (3, 1))
d.CorrCholeskyTransform()
d.SoftmaxTransform()
d.StickBreakingTransform()
d.CatTransform([d.ExpTransform(), d.identity_transform], dim=-1, lengths=[1, 2])
d.StackTransform([d.ExpTransform(), d.TanhTransform(), d.AffineTransform(1.0, 3.0)], dim=-1)
d.CumulativeDistributionTransform(d.Normal(0.0, 1.0))
d.biject_to(d.constraints.interval(-1.0, 3.0))
d.biject_to(d.constraints.simplex)
d.biject_to(d.constraints.greater_than(2.0))
d.transform_to(d.constraints.less_than(2.0))
d.transform_to(d.constraints.simplex)
d.transform_to(d.constraints.independent(d.constraints.positive, 1))
d.biject_to(d.constraints.stack([d.constraints.real, d.constraints.positive, d.constraints.real], dim=-1))
"""


@pytest.mark.parametrize("text", TRANSFORMS.strip().splitlines())
def test_transforms(text):
    def program(t):
        transform = eval(text, {"t": t, "d": t.distributions})
        x = t.tensor([[0.3, 0.7, 0.2], [0.5, 0.1, 1.2]])
        if transform.domain is t.distributions.constraints.positive:
            x = x.abs()
        y = transform(x)
        jacobian = attempt(lambda: transform.log_abs_det_jacobian(x, y))
        shapes = transform.forward_shape(x.shape), transform.inverse_shape(y.shape)
        facts = transform.bijective, attempt(lambda: transform.sign), str(transform.domain), str(transform.codomain)
        return y, transform.inv(y), jacobian, [list(s) for s in shapes], facts, repr(transform), attempt(lambda: transform.event_dim)

    agree(program)


MATRICES = "[[[2., 1.], [1., 3.]], [[1., 0.], [0., -1.]], [[1., 2.], [0., 1.]]]"
CONSTRAINTS = {
    "boolean": "[0., 1., 2.]", "nonnegative_integer": "[-1., 0., 1.5, 2.]", "positive_integer": "[0., 1.]",
    "integer_interval(1, 3)": "[0., 1., 2.5, 4.]", "real": "[1., float('nan'), float('inf')]", "positive": "[0., 1.]",
    "nonnegative": "[-1., 0.]", "greater_than(2)": "[2., 3.]", "greater_than_eq(2)": "[2., 1.]", "less_than(2)": "[2., 1.]",
    "unit_interval": "[-1., 0., 1., 2.]", "interval(-1, 2)": "[-2., 2.]", "half_open_interval(0., 1.)": "[0., 1.]",
    "one_hot": "[[0., 1.], [1., 1.]]", "simplex": "[[0.5, 0.5], [1., 1.]]", "multinomial(3)": "[[1., 2.], [3., 1.]]",
    "real_vector": "[[1., 2.], [float('nan'), 0.]]", "independent(c.positive, 1)": "[[1., 2.], [-1., 0.]]",
    "lower_triangular": MATRICES, "lower_cholesky": MATRICES, "corr_cholesky": "[[[1., 0.], [0.6, 0.8]], [[1., 0.], [1., 1.]]]",
    "square": MATRICES, "symmetric": MATRICES, "positive_semidefinite": "[[[2., 1.], [1., 3.]], [[1., 0.], [0., -1.]]]",
    "positive_definite": "[[[2., 1.], [1., 3.]], [[1., 0.], [0., -1.]]]", "cat([c.positive, c.real], -1, [1, 2])": "[[-1., 2., 3.]]",
    "stack([c.positive, c.real], -1)": "[[-1., 2.]]", "dependent": "[1.]", "dependent(is_discrete=True, event_dim=1)": "[1.]",
}  # fmt: skip


@pytest.mark.parametrize("text", CONSTRAINTS)
def test_constraints(text):
    def program(t):
        c = t.distributions.constraints
        constraint = eval(f"c.{text}", {"c": c})
        facts = attempt(lambda: constraint.is_discrete), attempt(lambda: constraint.event_dim), c.is_dependent(constraint)
        return facts, repr(constraint).partition(" object")[0].rpartition(".")[2], constraint.check(t.tensor(eval(CONSTRAINTS[text])))

    agree(program)


ERRORS = [
    lambda t: t.distributions.Normal(0.0, -1.0),
    lambda t: t.distributions.Normal("a", 1.0),
    lambda t: t.distributions.Bernoulli(),
    lambda t: t.distributions.Bernoulli(probs=t.tensor([0.1, 1.2])),
    lambda t: t.distributions.Categorical(t.tensor(0.5)),
    lambda t: t.distributions.Categorical(t.ones(3)).log_prob(t.tensor(3)),
    lambda t: t.distributions.Normal(t.zeros(2), 1.0).log_prob(t.zeros(3)),
    lambda t: t.distributions.Normal(0.0, 1.0).log_prob(1.0),
    lambda t: t.distributions.Dirichlet(t.ones(3)).log_prob(t.ones(2)),
    lambda t: t.distributions.Gamma(1.0, 1.0).log_prob(t.tensor(-1.0)),
    lambda t: t.distributions.MultivariateNormal(t.zeros(2)),
    lambda t: t.distributions.MultivariateNormal(t.zeros(2), t.ones(2)),
    lambda t: t.distributions.Multinomial(t.ones(1), t.ones(2)),
    lambda t: t.distributions.Independent(t.distributions.Normal(0.0, 1.0), 1),
    lambda t: t.distributions.TransformedDistribution(t.distributions.Normal(0.0, 1.0), 3),
    lambda t: t.distributions.MixtureSameFamily(t.distributions.Categorical(t.ones(3)), t.distributions.Normal(t.zeros(2), 1.0)),
    lambda t: t.distributions.LKJCholesky(1),
    lambda t: t.distributions.Wishart(1.0, t.eye(2)),
    lambda t: t.distributions.Poisson(t.tensor([-1.0])),
    lambda t: t.distributions.Poisson(1.0).rsample(),
    lambda t: t.distributions.Normal(0.0, 1.0).enumerate_support(),
    lambda t: t.distributions.Geometric(t.tensor([0.0])),
    lambda t: t.distributions.kl_divergence(t.distributions.Normal(0.0, 1.0), t.distributions.Categorical(t.ones(3))),
    lambda t: t.distributions.Distribution().mean,
    lambda t: t.distributions.Distribution(validate_args=False).mode,
    lambda t: t.distributions.biject_to(t.distributions.constraints.boolean),
    lambda t: t.distributions.Normal(0.0, 1.0).sample_n(2).shape,
    lambda t: t.distributions.ReshapeTransform((2,), (3,)),
]


@pytest.mark.parametrize("program", ERRORS)
def test_errors(program):
    agree(program)


def test_families_of_users():
    def program(t):
        d = t.distributions

        class Narrow(d.Normal):
            pass

        class Own(d.Distribution):
            arg_constraints = {"width": d.constraints.positive}
            support = d.constraints.real

            def __init__(self, width):
                self.width = width
                super().__init__(width.shape)

            def rsample(self, sample_shape=()):
                return t.ones(self._extended_shape(sample_shape)) * self.width

        @d.register_kl(Narrow, d.Normal)
        def divergence(p, q):
            return t.tensor(42.0)

        class Other(d.Normal):
            def __init__(self, loc):
                super().__init__(loc, 1.0)

        own = Own(t.ones(2))
        expanded = attempt(lambda: Other(t.zeros(2)).expand((3, 2)))
        kl = d.kl_divergence(Narrow(0.0, 1.0), d.Normal(0.0, 1.0)), d.kl_divergence(Other(t.zeros(1)), Narrow(0.0, 2.0))
        return own.sample((3,)), repr(own), type(Narrow(t.zeros(2), 1.0).expand((4, 2))).__name__, expanded, kl

    agree(program)


def test_modules_of_pytorch():
    from chainrule.distributions.normal import Normal

    from chainrule.distributions.utils import broadcast_all

    assert Normal is chainrule.distributions.Normal and len(broadcast_all(1.0, 2)) == 2
    assert set(chainrule.distributions.__all__) == set(oracle.distributions.__all__)


def test_a_policy_gradient():
    def program(t):
        t.manual_seed(0)
        logits = t.zeros(3, requires_grad=True)
        for _ in range(5):
            policy = t.distributions.Categorical(logits=logits)
            action = policy.sample()
            (-policy.log_prob(action) * (action == 1)).backward()
        return logits.grad, math.fsum(logits.grad.tolist()) < 1e-6

    agree(program)
