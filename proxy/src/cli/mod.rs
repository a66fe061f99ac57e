//! (room owner writes this header)
