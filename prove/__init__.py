"""Trials against a hostile AimHarder: real processes, real sockets, the simulator's ground truth."""
