"""Messages that leave after the commit that made them necessary, and the queue they leave through."""
