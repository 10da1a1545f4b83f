"""Conversions."""
__all__: list[str] = []
