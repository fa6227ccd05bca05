//! Test problems with known optimum and known risk.
