//! The pure core (under construction).
