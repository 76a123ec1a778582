"""What runs beside the performer on a machine, described once and supervised here."""
