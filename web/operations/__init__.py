"""What a request may ask for, once: both REST interfaces read these models and call these functions; no HTTP answers."""
