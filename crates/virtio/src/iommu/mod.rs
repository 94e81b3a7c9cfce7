//! IOMMUs.
