"""From RTP packets to sound and pictures that agree in time."""
