"""The rooms behind `nn.functional`, by subject; each lists its public functions in `__all__`."""
