"""The entries of PyTorch's operator database that chainrule does not pass, each check with its reason."""

WRONG_THERE = "PyTorch's own gradient is wrong here (its database says so); chainrule's passes gradcheck"
NOT_PUBLIC = "an entry of the dispatcher without a public function of this name"
HALF_COMPLEX = "NumPy has no complex type of two float16"

EXCEPTIONS: dict[str, dict[str, str]] = {
    "as_strided_scatter": dict.fromkeys(("backward", "second"), WRONG_THERE),
    "slice": dict.fromkeys(("forward", "backward", "second", "forward_mode"), NOT_PUBLIC),
    "chalf": dict.fromkeys(("forward", "method", "backward", "second"), HALF_COMPLEX),
    "gather": {"errors": "one error is out= in the memory of the input, which this test cannot build for chainrule"},
}
