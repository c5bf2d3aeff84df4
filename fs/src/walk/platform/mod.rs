//! How a walk enters a directory and knows it again; platforms differ by file.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

#[cfg(target_os = "linux")]
pub(super) use linux::Visited;
#[cfg(not(target_os = "linux"))]
pub(super) use portable::Visited;
