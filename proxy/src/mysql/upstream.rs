//! The upstream leg: connecting to MySQL for one client connection (TCP, TLS).
//! Never here: the control account.
