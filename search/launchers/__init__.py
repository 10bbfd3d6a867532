"""Placing workers: on this machine, on Slurm, on Kubernetes. All run `ecgscale worker`."""
