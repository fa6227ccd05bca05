//! acquisition
