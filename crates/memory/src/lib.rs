//! bo-memory
