"""Products."""
__all__: list[str] = []
