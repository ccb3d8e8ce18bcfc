"""The one door to the outside: every socket and name look-up of a session."""
