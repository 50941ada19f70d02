"""PayPal's Orders v2 and Payments v2, simulated: ``api`` routes, ``store`` keeps."""
