"""The trainings of a job, one by one, what happened to it in words, and both and the leaderboard as tables."""
