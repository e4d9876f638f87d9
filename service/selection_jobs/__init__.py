"""Selection jobs: from the question through pre-flight, runs and decisions to the leaderboard."""
