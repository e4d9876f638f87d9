"""What a request would come to, before anything is trained: maps, sizes, trainings, time."""
