"""Living torrents and peers: tasks and nurseries."""
