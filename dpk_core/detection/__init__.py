"""Object detection: pictures with boxes on a canvas, detectors, and the score of what they find."""
