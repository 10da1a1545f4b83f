"""Random tensors."""
__all__: list[str] = []
