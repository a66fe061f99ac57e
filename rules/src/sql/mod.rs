//! Statement text to digest, literals and syntax tree. The only room that names `sqlparser`.
//! Never here: knowledge of a contract or of a catalog.
