"""The PostgreSQL behind a study: embedded or by URL, its tables, view and logins."""
