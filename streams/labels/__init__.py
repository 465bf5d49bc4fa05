"""Labels that come late: samples wait for them, and what waits is a function of the learning log."""
