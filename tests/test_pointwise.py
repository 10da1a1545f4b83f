"""Pointwise functions and Tensor's operators against PyTorch: what the operator database does not ask."""

import itertools
import operator

import numpy as np
import pytest
import torch

import chainrule

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128")
DATA = [[0.5, -1.25, 2.0], [3.0, 0.25, -2.0]]


def both(expression, dtype="float32", **names):
    """The expression in both libraries, `t` being the library and `x` a matrix that requires grad: (value or error) each."""
    results = []
    for t in (torch, chainrule):
        given = {k: t.tensor(v, dtype=getattr(t, dtype), requires_grad="float" in dtype or "complex" in dtype) for k, v in names.items()}
        scope = {"t": t, **given}
        try:
            results.append((eval(expression, scope), given))
        except Exception as error:
            results.append((error, given))
    return results


def plain(x):
    if isinstance(x, chainrule.Tensor):
        data = x.detach()
        return np.array(data.float().numpy() if data.dtype == chainrule.bfloat16 else data.numpy())
    data = x.detach().resolve_conj().resolve_neg()
    return np.array((data.float() if data.dtype == torch.bfloat16 else data).numpy(force=True))


def agree(expression, dtype="float32", grad=True, tolerance=2e-6, **names):
    """Equal values, dtypes, shapes, gradients; or errors of one type with PyTorch's first words."""
    (expected, theirs), (got, mine) = both(expression, dtype, **(names or {"x": DATA}))
    if isinstance(expected, Exception):
        assert type(got) is type(expected), f"{got!r} instead of {expected!r}"
        return
    if isinstance(got, Exception):
        raise got
    if not isinstance(expected, torch.Tensor):
        assert got == expected
        return
    assert str(got.dtype) == str(expected.dtype) and tuple(got.shape) == tuple(expected.shape)
    np.testing.assert_allclose(plain(got), plain(expected), tolerance, tolerance)
    assert got.requires_grad == expected.requires_grad
    if grad and expected.requires_grad:
        for y in (expected, got):
            y.backward((y * 0 + 1).detach())
        for name in theirs:
            if theirs[name].grad is None:
                assert mine[name].grad is None or not plain(mine[name].grad).any()
            else:
                np.testing.assert_allclose(plain(mine[name].grad), plain(theirs[name].grad), tolerance, tolerance)


# Operators

BINARY = ("x + 2", "2 + x", "x - 2", "2 - x", "x * 3", "3 * x", "x / 2", "2 / x", "x // 2", "7 // x", "x % 2", "7 % x", "x ** 3", "2 ** x",
          "x == 2", "x != 2", "x < 1", "1 < x", "x >= 1", "-x", "+x", "abs(x)", "x ** 2", "x ** 0.5", "x ** -1", "x ** 0", "x ** x",
          "x.__rdiv__(2)", "x + x.t()[:1].sum()", "x * x[0]", "x[:, :1] - x")  # fmt: skip


@pytest.mark.parametrize("dtype", ("float32", "float64", "complex64"))
@pytest.mark.parametrize("expression", BINARY)
def test_operators(expression, dtype):
    grad = "//" not in expression and "7 %" not in expression
    if "** 0.5" in expression and dtype != "complex64":
        expression = f"({expression}).nan_to_num()"
        grad = False
    agree(expression, dtype, grad, 1e-4)


@pytest.mark.parametrize("expression", (
    "x & 6", "6 & x", "x | 1", "1 | x", "x ^ 3", "3 ^ x", "~x", "x << 1", "1 << x", "x >> 1", "64 >> x", "x // 2", "x % 3", "7 % (x + 1)",
    "-x // 2", "x ** 2", "x ** -1", "x / 2", "2 ** x", "x + True", "x * 1.5",
))  # fmt: skip
@pytest.mark.parametrize("dtype", ("int64", "int32", "uint8", "bool", "float32"))
def test_integer_operators(expression, dtype):
    agree(expression, dtype, grad=False, x=[[0, 1, 2], [3, 4, 5]])


INPLACE = {
    "iadd": 2, "isub": 2, "imul": 3, "itruediv": 2, "ifloordiv": 2, "imod": 2, "ipow": 2, "iand": 3, "ior": 3, "ixor": 3, "ilshift": 1,
    "irshift": 1,
}  # fmt: skip


@pytest.mark.parametrize("dtype", ("float32", "int64", "bool"))
@pytest.mark.parametrize("name", INPLACE)
def test_inplace_operators(name, dtype):
    results = []
    for t in (torch, chainrule):
        x = t.tensor([[1, 2], [3, 4]], dtype=getattr(t, dtype))
        try:
            y = getattr(operator, name)(x, INPLACE[name])
            assert y is x
            results.append(plain(x))
        except Exception as error:
            results.append(type(error))
    assert np.array_equal(results[0], results[1]), results


@pytest.mark.parametrize("operand", ("None", "'a'", "[1, 2]", "object()"))
def test_operators_refuse_strangers(operand):
    for operation in ("x + {}", "x * {}", "x < {}"):
        agree(operation.format(operand), grad=False)


def test_numpy_operands():
    x = chainrule.tensor([1.0, 2.0])
    assert isinstance(np.ones(2, np.float32) + x, chainrule.Tensor) and (x * np.float32(2)).dtype is chainrule.float32


# Types


@pytest.mark.parametrize("op", ("add", "mul", "div", "maximum", "eq", "pow"))
def test_promotion(op):
    """Matrices, 0-dim tensors and numbers of every type."""
    for a, b in itertools.product(DTYPES, DTYPES):
        if "float16" in (a, b) and {a, b} & {"complex64", "complex128"}:  # PyTorch's complex32, which chainrule does not have
            continue
        for shapes in (((2,), (2,)), ((2,), ()), ((), ())):
            found = []
            for t in (torch, chainrule):
                tensors = [t.ones(s, dtype=getattr(t, d)) for s, d in zip(shapes, (a, b))]
                try:
                    found.append(str(getattr(t, op)(*tensors).dtype))
                except (RuntimeError, NotImplementedError) as error:
                    found.append(type(error))
            assert found[0] == found[1], (op, a, b, shapes, found)
    for a, number in itertools.product(DTYPES, (True, 2, 2.5, 2j)):
        if a == "float16" and number == 2j:
            continue
        found = []
        for t in (torch, chainrule):
            try:
                found.append(str((t.ones(2, dtype=getattr(t, a)) * number).dtype))
            except (RuntimeError, NotImplementedError) as error:
                found.append(type(error))
        assert found[0] == found[1], (a, number, found)


def test_default_dtype_of_integers():
    chainrule.set_default_dtype(chainrule.float64)
    try:
        assert chainrule.tensor([1]).sqrt().dtype is chainrule.float64 and (chainrule.tensor([1]) * 1.5).dtype is chainrule.float64
    finally:
        chainrule.set_default_dtype(chainrule.float32)


@pytest.mark.parametrize("name", ("exp", "mul", "tanh", "sigmoid", "erf", "rsqrt", "mean", "var", "softmax"))
@pytest.mark.parametrize("dtype", ("bfloat16", "float16"))
def test_half_precision_gradients(name, dtype):
    argument = {"mul": "1.5", "softmax": "-1"}.get(name, "")
    agree(f"(x * x + 1).{name}({argument}).sum()", dtype, tolerance=2e-2)


# Numbers at the edges

INF, NAN = float("inf"), float("nan")
EDGES = [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 1e-30, 88.0, -88.0, 0.5]
UNARY = [
    "abs",
    "acos",
    "acosh",
    "angle",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "deg2rad",
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "frac",
    "i0",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "logit",
    "neg",
    "rad2deg",
    "reciprocal",
    "relu",
    "round",
    "rsqrt",
    "sgn",
    "sigmoid",
    "sign",
    "signbit",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
    "nan_to_num",
]


@pytest.mark.parametrize("name", UNARY)
def test_edges(name):
    agree(f"x.{name}()", x=EDGES, tolerance=2e-5)


@pytest.mark.parametrize("name", (
    "add", "sub", "mul", "div", "atan2", "hypot", "maximum", "minimum", "fmax", "fmin", "pow", "remainder", "fmod", "copysign", "xlogy",
    "logaddexp", "nextafter", "floor_divide",
))  # fmt: skip
def test_edges_of_two(name):
    pairs = list(itertools.product([0.0, -0.0, 1.0, -2.0, INF, -INF, NAN], repeat=2))
    agree(f"t.{name}(x, y)", grad=name != "floor_divide", x=[p[0] for p in pairs], y=[p[1] for p in pairs])


def test_where_hides_the_other_branch():
    agree("t.where(x > 0, x, t.zeros_like(x)).sqrt().sum()", grad=False)
    agree("t.where(x > 1, t.log(x.clamp(min=1)), x * 2).sum()")
    x = chainrule.tensor([0.0, 4.0], requires_grad=True)
    chainrule.where(x > 0, 1 / x, chainrule.zeros_like(x)).sum().backward()
    y = torch.tensor([0.0, 4.0], requires_grad=True)
    torch.where(y > 0, 1 / y, torch.zeros_like(y)).sum().backward()
    np.testing.assert_array_equal(plain(x.grad), plain(y.grad))


TIES = (
    "t.maximum(x, y)", "t.minimum(x, y)", "t.fmax(x, y)", "t.fmin(x, y)", "x.clamp(1, 2)", "x.clamp(min=y)", "x.clamp(max=y)",
    "x.clamp(y, y)", "x.relu()", "x.abs()", "t.hypot(x, y)", "t.atan2(x, y)", "x.pow(y)", "t.nn.functional.hardtanh(x)",
)  # fmt: skip


@pytest.mark.parametrize("expression", TIES)
def test_subgradients(expression):
    agree(expression, x=[0.0, 1.0, 2.0, 3.0, 0.0, 1.0], y=[0.0, 1.0, 1.0, 5.0, 2.0, 0.0])


# Keyword arguments and forms

FORMS = (
    "t.add(x, x, alpha=3)", "t.sub(x, 2, alpha=0.5)", "t.rsub(x, 2, alpha=2)", "t.div(x, 2, rounding_mode='floor')",
    "t.div(x, 2, rounding_mode='trunc')", "t.round(x, decimals=1)", "t.round(x * 100, decimals=-1)", "t.lerp(x, x * 2, 0.3)",
    "t.lerp(x, x * 2, x)", "t.addcmul(x, x, x, value=0.5)", "t.addcdiv(x, x, x, value=2)", "t.logit(x.sigmoid(), eps=0.3)",
    "t.nan_to_num(x / 0, nan=1., posinf=2., neginf=3.)", "x.clamp(-1)", "x.clamp(max=1)", "t.clip(x, -1, 1)", "t.polygamma(1, x + 5)",
    "(x + 5).polygamma(2)", "t.mvlgamma(x + 5, 2)", "t.float_power(x, 2)", "t.ldexp(x, x)", "t.masked_fill(x, x > 0, 3.)",
    "t.masked_fill(x, x > 0, x.sum())", "t.where(x > 0, 1., x)", "t.where(x > 0, x, 2)", "x.where(x > 0, 0)", "t.complex(x, x).abs()",
    "t.polar(x.abs(), x).real", "t.view_as_complex(x[:, :2].contiguous()).angle()", "t.heaviside(x.detach(), x.detach())", "t.frexp(x)[0]",
    "t.frexp(x).exponent", "t.special.xlog1py(x.abs(), 2.)", "t.special.entr(x)", "t.special.zeta(3., x.abs() + 1)",
    "t.special.chebyshev_polynomial_t(x, 3)", "t.special.gammainc((x * x + 1).detach(), x * x)", "t.special.log_ndtr(x)", "t.selu(x)",
    "t.celu(x, 2.)", "t.threshold(x, 0.1, 5)", "t.hardshrink(x)", "t.prelu(x, x[0])", "t.positive(x)", "t.true_divide(x, 2)",
    "t.isclose(x, x + 1e-9)", "t.allclose(x, x)", "t.equal(x, x)", "t.isreal(x)", "t.add(x, out=t.empty(0), other=1)",
    "t.special.expit(x)", "t.special.multigammaln(x + 5, 2)", "t.clone(x).abs_()", "t.exp_(x.clone())", "x.clone().mul_(x)",
    "x.clone().clamp_(0, 1)", "x.clone().lerp_(x, 0.5)", "x.clone().addcmul_(x, x)",
)  # fmt: skip


@pytest.mark.parametrize("expression", FORMS)
def test_forms(expression):
    agree(expression, "float64", tolerance=1e-6)


NODES = (
    "x + 1", "x - x", "1 - x", "t.rsub(x, x)", "x * 2", "x / x", "x ** 2", "x ** x", "2 ** x", "x.square()", "-x", "x.exp2()",
    "x.deg2rad()", "x.atan2(x)", "x % 2", "x.remainder(x)", "x.fmod(2)", "x.fmod(x)", "x.copysign(1)", "x.copysign(x)", "x.lerp(x, 0.5)",
    "x.lerp(x, x)", "x.round(decimals=1)", "x.clamp(0)", "x.clamp_min(x)", "x.xlogy(x)", "x.xlogy(2)", "t.xlogy(2, x)",
    "t.special.xlog1py(x, 2)", "t.special.i0e(x)", "t.special.zeta(2, x)", "x.nan_to_num()", "t.selu(x)", "t.prelu(x, x[0])",
    "x.masked_fill(x > 0, 1)", "x.sgn()", "x.igamma(x)", "t.complex(x, x)", "x.logaddexp(x)", "x.nextafter(x)", "x.frexp()[0]",
)  # fmt: skip


@pytest.mark.parametrize("expression", NODES)
def test_node_names(expression):
    (expected, _), (got, _) = both(expression, x=DATA)
    assert type(got.grad_fn).__name__ == type(expected.grad_fn).__name__


# Errors: the type, and PyTorch's first words

ERRORS = (
    "x + t.ones(4)", "x.add_(1j)", "x.int().add_(1.5)", "x.int().div_(2)", "t.ones(1).add_(x.detach())", "(x > 0) - (x > 0)",
    "(x > 0) - 1", "-(x > 0)", "t.add(x, 1, alpha=1j)", "t.add(x.int(), 1, alpha=1.5)", "x.div(2, rounding_mode='up')", "x.int() ** -1",
    "~x", "x & 1", "x << 1", "t.gcd(x, x)", "x.clamp()", "t.where(x, 1, 2)", "x.masked_fill(x, 1)", "t.lerp(x, x.double(), 0.5)",
    "t.sign(t.tensor(1j))", "t.lt(t.tensor(1j), 1)", "t.maximum(t.tensor(1j), t.tensor(1j))", "t.sqrt(1)", "t.add(x, 'a')", "t.exp(x, x)",
    "t.logit(t.tensor(1j))", "t.polygamma(-1, x)", "t.mvlgamma(x, 0)", "x.imag", "t.round(x.int(), decimals=1)",
    "t.complex(x, x.double())", "t.frexp(x.int())", "t.isclose(x, x.double())", "x.int() // 0", "t.div(x.int(), 0, rounding_mode='trunc')",
    "t.add(x, x, out=t.ones(2, 3).int())", "t.add(x, x, out=t.ones(2, 3))", "t.eq(2, x)", "t.copysign(2, x)", "t.maximum(x, 2)",
    "t.heaviside(x, x).sum().backward()", "t.floor_divide(x, 2).sum().backward()", "t.igamma(x.abs(), x.abs()).sum().backward()",
    "t.addcdiv(x.int(), x.int(), x.int())", "t.celu(x.int())", "t.threshold('x', 1, 2)", "t.bitwise_and(x, x)", "x.abs_()",
    "t.special.zeta(2, 3)",
)  # fmt: skip


@pytest.mark.parametrize("expression", ERRORS)
def test_errors(expression):
    (expected, _), (got, _) = both(expression, x=DATA)
    assert isinstance(expected, Exception), f"PyTorch gives {expected}"
    assert type(got) is type(expected), f"{got!r} instead of {expected!r}"
    same = (
    "alpha", "Subtraction", "Negation", "size of tensor", "result type", "rounding_mode", "negative integer powers", "At least one",
    "leaf Variable", "derivative for", "imag is not", "polygamma", "p has to", "out=", "ZeroDivisionError", "condition", "boolean masks",
    "for `end`",
)  # fmt: skip
    if any(words in str(expected) for words in same):
        first = str(expected).splitlines()[0].split(" (Triggered")[0]
        assert str(got).startswith(first[:90]), f"{got} instead of {expected}"


def test_out_is_resized_with_a_warning():
    x, out = chainrule.tensor([1.0, 2.0]), chainrule.ones(3)
    with pytest.warns(UserWarning, match="An output with one or more elements was resized"):
        chainrule.exp(x, out=out)
    assert out.shape == (2,)


def test_second_derivatives():
    """gradgrad of a chain through every differentiable unary function that is smooth on (0.2, 0.8)."""
    names = (
        "acos asin atan atanh cos cosh digamma erf erfc erfinv exp exp2 expm1 lgamma log log10 log1p log2 logit reciprocal rsqrt sigmoid "
        "sin sinc sinh sqrt square tan tanh"
    )
    for name in names.split():
        found = []
        for t in (torch, chainrule):
            x = t.tensor([0.25, 0.5, 0.75], dtype=t.float64, requires_grad=True)
            (g,) = t.autograd.grad(getattr(x, name)().sum(), x, create_graph=True)
            (gg,) = t.autograd.grad((g * g).sum(), x)
            found.append(plain(gg))
        np.testing.assert_allclose(found[1], found[0], 1e-9, err_msg=name)
