"""Where the limits of one model's log lie: costs that are measured, formulas, and a simulation beyond."""
