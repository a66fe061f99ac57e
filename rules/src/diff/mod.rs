//! Compares two items (later: two result sets) and classifies what differs.
//! Never here: fetching either side.
