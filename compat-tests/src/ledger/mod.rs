//! What a broker answered, against what it shows later: one checker for each promise, pure, each with violations that
//! are planted in its tests.
//!
//! | module | promise |
//! |--|--|
//! | [`records`] | acknowledged records are there, once and in order |
//! | [`retained`] | only what is old enough is removed, and a log's start does not go back |
//! | [`compacted`] | of each key the last acknowledged value is there, and no deleted one lives |
//! | [`committed`] | committed offsets do not go back |
//! | [`epochs`] | generations and epochs of groups and members do not go back |
//! | [`topics`] | topics, their ids and configs are what was answered |
//! | [`shown`] | a record stays where a consumer saw it |
//! | [`replicas`] | copies are the same bytes |
//! | [`producer_ids`] | no producer id is handed out twice |

pub mod committed;
pub mod compacted;
pub mod epochs;
pub mod producer_ids;
pub mod records;
pub mod replicas;
pub mod retained;
pub mod shown;
pub mod topics;
