//! Contacts into what can be concluded from them; pure, one file a question.

pub mod completeness;
pub mod sampling;
