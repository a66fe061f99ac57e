//! COM_QUERY: where the text begins, with query attributes and without.
//! Never here: the text.

use segue::wire::capability::{Capabilities, QUERY_ATTRIBUTES};
use segue::wire::command;
use segue::wire::query::{text_at, write};

use crate::input::Input;
use crate::target::execute::{Value, arbitrary_values, put_block};

pub fn run(data: &[u8]) {
    for capabilities in [0, QUERY_ATTRIBUTES, Capabilities::MAX] {
        if let Ok(at) = text_at(data, capabilities) {
            assert!(at >= 1 && at <= data.len());
            assert!(capabilities & QUERY_ATTRIBUTES != 0 || at == 1);
        }
    }
    // A well-formed one is always understood.
    let mut input = Input::new(data);
    let values = arbitrary_values(&mut input);
    let text = String::from_utf8_lossy(input.rest()).into_owned();
    let payload = attributed(&values, &text);
    let at = text_at(&payload, QUERY_ATTRIBUTES).expect("attributes as a client writes them");
    assert_eq!(&payload[at..], text.as_bytes());
    let own = write(&text, QUERY_ATTRIBUTES);
    let at = text_at(&own, QUERY_ATTRIBUTES).expect("what Segue writes itself");
    assert_eq!(&own[at..], text.as_bytes());
}

/// A COM_QUERY with these attributes.
fn attributed(values: &[Value], text: &str) -> Vec<u8> {
    let mut payload = vec![command::QUERY, values.len() as u8, 1];
    if !values.is_empty() {
        put_block(&mut payload, values, true, true);
    }
    payload.extend_from_slice(text.as_bytes());
    payload
}
