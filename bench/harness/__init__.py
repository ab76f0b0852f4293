"""What every benchmark is made of: a broker, worker processes, measurements, reports."""
