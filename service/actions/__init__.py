"""What a person does to a job that is there: pause, resume, retry, add a teacher, name."""
