//! Windows: directories as paths.
