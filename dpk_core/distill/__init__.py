"""Distillation methods: how a student's training step is made, with or without a teacher."""
