"""What is shared: .torrent files, magnet links, and how their bytes fall into pieces and files."""
