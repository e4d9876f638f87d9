"""The catalogue of models: what there is, and networks that people upload."""
