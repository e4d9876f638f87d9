"""The catalogue of methods and recipes: what a request may name, with every setting and its default."""
