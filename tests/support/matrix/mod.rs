//! The two sides of the table: [operations](rows) and [circumstances].

mod circumstances;
mod files;
mod messages;
mod rows;
mod sends;

pub(crate) use circumstances::CIRCUMSTANCES;
pub(crate) use rows::ROWS;
