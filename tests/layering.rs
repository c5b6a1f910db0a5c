//! Keeps the layers apart.
