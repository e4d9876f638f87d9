"""What is believed about final student scores. Choosing: `choosing`, from unfinished trainings. Saying: `crossed`."""
