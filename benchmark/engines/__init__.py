"""How a group of trials is trained on one device: one after another (`benchmark.train`, the reference), or stacked."""
