//! Nothing that comes in takes more memory than is stated, and when memory is short the broker pushes back and goes on.
//! Measured on the process itself.

mod bombs;
mod cold;
mod connections;
mod frames;
mod load;
mod soak;
mod state;
mod support;
