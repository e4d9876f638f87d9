"""One database: engine, session, tables, types. SQLite and Postgres alike."""
