//! A session's prepared statements under any order of executions, long data, resets and closes.
//! Never here: single packets (see `execute`).

use segue::execute::prepared::{Prepared, PreparedStatements};
use segue::wire::capability::Capabilities;
use segue_config::limits;

use crate::input::Input;

/// Identity of the statement that is always there, and MariaDB's "the last one".
const IDS: [u32; 4] = [1, 2, 3, u32::MAX];

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut all = PreparedStatements::default();
    let charset = input.pick(&["utf8mb4", "latin1", "gbk", ""]);
    let mut counts = [0_u16; 5];
    while !input.is_empty() {
        let id = input.pick(&IDS);
        let mut payload = vec![0x17];
        payload.extend_from_slice(&id.to_le_bytes());
        match input.byte() % 6 {
            0 => {
                let count = u16::from(input.byte() % 20);
                all.insert(id, Prepared::new(b"SELECT ?", count, None));
                if let Some(place) = counts.get_mut(id as usize) {
                    *place = count;
                }
            }
            1 => {
                payload.extend_from_slice(&input.short().to_le_bytes());
                payload.extend_from_slice(input.chunk());
                all.send_long_data(&payload, input.byte() % 8 != 7);
            }
            2 => all.close(&payload),
            3 => all.reset(&payload),
            _ => {
                payload.extend_from_slice(&[input.byte() & 8, 1, 0, 0, 0]);
                payload.extend_from_slice(input.chunk());
                let capabilities = Capabilities::from(input.word());
                let known = all.get(&payload).is_some();
                let values = all.execute(&payload, true, capabilities, charset);
                assert!(known || values.is_none());
                if let (Some(values), Some(count)) = (values, counts.get(id as usize)) {
                    assert_eq!(values.len(), usize::from(*count));
                    assert!(values.len() <= limits::LONG_DATA_BYTES_MAX);
                }
            }
        }
    }
}
