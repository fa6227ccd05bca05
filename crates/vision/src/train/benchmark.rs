//! How well a network finds edges.
