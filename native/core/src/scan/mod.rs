//! Reading a volume: its directories and the attributes of its entries, in parallel, relative to descriptors.

pub mod attributes;
pub mod closing;
pub mod digest;
pub mod facts;
pub mod filter;
pub mod measure;
pub mod read;
pub mod shown;
pub mod visitor;
pub mod volume;
pub mod walk;
