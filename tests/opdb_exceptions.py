"""The entries of PyTorch's operator database that chainrule does not pass, each check with its reason."""

EXCEPTIONS: dict[str, dict[str, str]] = {}
