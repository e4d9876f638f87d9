"""The one training loop: it knows the interface of a distillation method and nothing of any particular one."""
