//! Benchmarks of annulet against hand-written loops on the same kernel, the *floors*.
//!
//! The idea to read on with: a figure is worth something only beside the same figure of a bare
//! loop, taken in the same minute on the same machine. So every case runs its contenders in
//! interleaved rounds (A B C A B C …), each in a fresh child process pinned to one CPU while the
//! load comes from another, and what is printed is a median, its spread and a ratio to the floor.
//!
//! | module | what it holds |
//! |---|---|
//! | [`case`] | what is measured (`Work`) and who is measured (`Contender`) |
//! | [`cases`] | the list of cases, and how the child measures each kind |
//! | [`contender`] | the list of contenders |
//! | [`floor`] | the hand-written loops; the only modules with unsafe code |
//! | [`load`] | the load generator of the servers |
//! | [`child`] | the measured process and the protocol spoken with it |
//! | [`compare`] | the rounds |
//! | [`bars`] | what the figures are to reach |
//! | [`copy`] | copy tools side by side |
//! | [`instructions`] | hot paths whose instructions are counted |
//! | [`recorder`], [`turns`], [`stats`], [`report`], [`machine`] | figures, medians, tables, the machine |

#![cfg(target_os = "linux")]
#![deny(unsafe_code)]

pub mod bars;
pub mod case;
pub mod cases;
pub mod child;
pub mod cli;
pub mod compare;
pub mod contender;
pub mod copy;
pub mod floor;
pub mod instructions;
pub mod load;
pub mod machine;
pub mod recorder;
pub mod report;
pub mod stats;
pub mod turns;
