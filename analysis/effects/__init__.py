"""What the factors do among architectures of equal cost, without any surrogate."""
