//! What the system grants the process: it sets no limit to descriptors.

pub(crate) fn take_descriptors() {}
