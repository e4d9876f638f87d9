"""The method, the models and the decisions of DPK Select. Importing this package imports nothing else."""
