"""What finished jobs already know: the best teacher for a student on a data set."""
