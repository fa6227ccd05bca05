//! Acquisitions: the worth of evaluating an (x, w) next.
