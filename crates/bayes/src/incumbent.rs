//! The incumbent: the x whose risk of the posterior mean over all judging environments is best.
