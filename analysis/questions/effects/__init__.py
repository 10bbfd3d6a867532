"""What each factor does among architectures of equal cost, without any surrogate."""
