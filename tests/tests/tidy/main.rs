//! House rules as tests: each rule reads the source tree, and each is shown to be able to fail.
//! Never here: anything that runs the product.

mod documents;
mod layout;
mod modules;
mod placement;
mod scan;
mod shape;
mod tree;

/// Fails with every violation, one a line.
fn assert_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}
