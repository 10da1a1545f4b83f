"""The entries of PyTorch's operator database that chainrule does not pass, each check with its reason."""

WRONG_THERE = "PyTorch's own gradient is wrong here (its database says so); chainrule's passes gradcheck"
NOT_PUBLIC = "an entry of the dispatcher without a public function of this name"
EQUAL_ELEMENTS = "which of equal elements is found is not specified; values agree"
TOO_MANY_DIMS = "the sample has 65 dimensions, NumPy's arrays have at most 64"
ROUGHER_THERE = "PyTorch's own value is further from the exact one"
NOT_INPLACE_THERE = "PyTorch has no gradient of the in-place form"
NUMBERS_TAKEN = "the database expects an error where torch, too, takes a number"
CHUNKS_THERE = "PyTorch says that its chunked form has no second derivatives; they are wrong there or raise, chainrule's pass gradgradcheck"
HALF_COMPLEX = "NumPy has no complex type of two float16"

EXCEPTIONS: dict[str, dict[str, str]] = {
    **dict.fromkeys(("kthvalue", "mode", "topk"), {"forward": EQUAL_ELEMENTS}),
    **dict.fromkeys(("amax", "amin", "aminmax"), {"errors": TOO_MANY_DIMS}),
    **dict.fromkeys(("special.bessel_j0", "special.bessel_y1"), dict.fromkeys(("forward", "out"), ROUGHER_THERE)),
    **dict.fromkeys([f"polygamma.polygamma_n_{n}" for n in range(5)], dict.fromkeys(("forward", "method", "out"), ROUGHER_THERE)),
    "special.polygamma.special_polygamma_n_0": dict.fromkeys(("forward", "out"), ROUGHER_THERE),
    "logcumsumexp": {"forward_mode": "PyTorch adds 1e-13 to a sum of exponentials, which can be smaller"},
    "cov": {"forward_mode": "weights in float32, which chainrule's rules promote at another place"},
    **dict.fromkeys(("acosh", "asinh", "atanh"), {"inplace": NOT_INPLACE_THERE}),
    **dict.fromkeys(("clamp_max", "clamp_min"), {"errors": NUMBERS_TAKEN}),
    "gradient": {"errors": "a sample on PyTorch's meta device"},
    "histogramdd": {"out": "PyTorch's function has no out="},
    "as_strided_scatter": dict.fromkeys(("backward", "second"), WRONG_THERE),
    "istft": dict.fromkeys(("backward", "second"), WRONG_THERE),
    "cholesky_inverse": {"forward_mode": "PyTorch's tangent multiplies in the wrong order and fails gradcheck; chainrule's passes"},
    **{f"nn.functional.linear_cross_entropy.{form}": {"second": CHUNKS_THERE} for form in ("chunked", "chunked_none")},
    "native_layer_norm": {"second": "PyTorch raises where there is no weight"},
    "svd_lowrank": {"second": "nearly equal singular values: the last bit of the input moves PyTorch's own result as far"},
    "slice": dict.fromkeys(("forward", "backward", "second", "forward_mode"), NOT_PUBLIC),
    "chalf": dict.fromkeys(("forward", "method", "backward", "second"), HALF_COMPLEX),
    "gather": {"errors": "one error is out= in the memory of the input, which this test cannot build for chainrule"},
}
