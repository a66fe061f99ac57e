//! Bodies of the HTTP API's requests.
//! Never here: HTTP itself, which is a library's.

use segue::console;

pub fn run(data: &[u8]) {
    let _ = console::reads_phase_change(data);
    let _ = console::reads_sweep(data);
}
