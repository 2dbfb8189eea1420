"""One example: an order with a payment service, an approval and a compensation; see app.py."""
