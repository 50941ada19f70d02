"""What providers tell by webhook, over HTTP on real servers."""
