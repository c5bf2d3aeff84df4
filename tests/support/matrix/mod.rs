//! The two sides of the table: [operations](rows) and [circumstances].

mod circumstances;
mod rows;

pub(crate) use circumstances::CIRCUMSTANCES;
pub(crate) use rows::ROWS;
