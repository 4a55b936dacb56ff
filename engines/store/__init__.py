"""What must outlive a process: adapters, their revisions and names, in SQLite and files under the state folder."""
