//! System tests of Segue on real engines: the harness that starts them, the random workload, the oracle.
//! Never here: product code.

pub mod chaos;
pub mod harness;
pub mod load;
pub mod locks;
pub mod recorder;
pub mod scene;
pub mod shop;
pub mod stage;
pub mod workload;
