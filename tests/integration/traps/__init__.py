"""What can go wrong with a payment, trap by trap, over HTTP on real servers."""
