"""Special tensors of PyTorch that programs ask about; chainrule makes none of them."""
