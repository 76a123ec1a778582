"""A machine that performs by itself: its services under supervisord, from the first start to the last warning."""
