"""What each operator computes, in PyTorch. `table` puts the families together."""
