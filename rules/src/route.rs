//! The one routing table: statement plan x phases -> what to do with a statement.
//! Never here: parsing, or doing it.
