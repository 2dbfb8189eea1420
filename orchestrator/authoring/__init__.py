"""What authors of workflows write with; it does no I/O and knows neither database nor broker."""
