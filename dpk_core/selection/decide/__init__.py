"""From results to decisions: who trains next, which teacher is best, what may be said. Facts only, no sentences."""
