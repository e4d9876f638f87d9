"""Exported programs (`torch.export`) that people upload, read without torch and without running anything in them."""
