"""What happened to a job, kept in order and streamed as it happens."""
