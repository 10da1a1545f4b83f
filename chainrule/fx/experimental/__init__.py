"""Parts of `torch.fx` that programs ask whether they are being traced."""
