"""What is left of the promises about faults: zombies, functions that take their worker with them, frozen services, load."""
