//! Tests of the driver over the simulated kernel: each fault by itself, then all of them by lot.

mod cancel;
mod hostile;
mod messages;
mod model;
mod multishot;
mod post;
mod queues;
mod scene;
mod shutdown;
mod support;
mod wakes;
mod zero_copy;
