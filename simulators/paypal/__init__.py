"""PayPal's Orders v2 and Payments v2, simulated: ``api`` has the routes."""
