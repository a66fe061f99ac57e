//! Answers held back and rewritten: only sequence ids and status flags change, and only where there are
//! any. Never here: why an answer is held.

use segue::execute::rewrite::{HeldAnswer, Part};
use segue::wire::capability::Capabilities;
use segue::wire::command::AnswerShape;
use segue::wire::frame::{FrameWalker, HEADER_BYTES, frame_length};
use segue::wire::scan::{Scanner, Seen};

use crate::input::Input;

/// Follows an answer as `Legs::hold` does; `None` where that fails.
fn held(stream: &[u8], capabilities: Capabilities) -> Option<(Vec<u8>, Seen)> {
    let mut scanner = Scanner::new(AnswerShape::Results, capabilities);
    let mut walker = FrameWalker::default();
    let mut at = 0;
    while !scanner.is_done() {
        let (used, packet) = walker.take(&stream[at..]);
        at += used;
        scanner.packet(packet?).ok()?;
    }
    Some((stream[..at].to_vec(), scanner.seen))
}

fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some(header) = bytes.first_chunk::<HEADER_BYTES>() {
        let length = HEADER_BYTES + frame_length(header);
        let Some((frame, rest)) = bytes.split_at_checked(length) else { break };
        found.push(frame);
        bytes = rest;
    }
    found
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let capabilities = Capabilities::from(input.word());
    let part = Part { sequence: input.byte(), set: input.short(), clear: input.short() };
    let value = input.chunk();
    let stream = input.rest();
    // Bytes that are no answer do not come here, but they must not do harm.
    let mut any = HeldAnswer { frames: stream.to_vec(), seen: Seen::default() };
    let _ = any.rewrite(capabilities, part);
    assert_eq!(any.frames.len(), stream.len());
    any.replace_only_value(value);
    let _ = any.error();
    let Some((bytes, seen)) = held(stream, capabilities) else { return };
    let mut answer = HeldAnswer { frames: bytes.clone(), seen };
    let next = answer.rewrite(capabilities, part);
    // MORE_RESULTS set or cleared says that the answer is another one; everything else may change freely.
    let more = segue::wire::status::MORE_RESULTS_EXISTS;
    let Ok(next) = next else { panic!("an answer that was held cannot be rewritten") };
    let (before, after) = (frames(&bytes), frames(&answer.frames));
    assert_eq!(before.len(), after.len());
    assert_eq!(next, part.sequence.wrapping_add(after.len() as u8));
    let mut changed = 0;
    for (i, (old, new)) in before.iter().zip(&after).enumerate() {
        assert_eq!(new.len(), old.len());
        assert_eq!(new[3], part.sequence.wrapping_add(i as u8));
        assert_eq!(new[..3], old[..3]);
        let differing: Vec<usize> =
            (HEADER_BYTES..new.len()).filter(|&at| new[at] != old[at]).collect();
        if let (Some(first), Some(last)) = (differing.first(), differing.last()) {
            assert!(last - first < 2, "more than a status changed");
            changed += 1;
        }
    }
    assert!(changed <= seen.statuses, "{changed} packets of {} changed", seen.statuses);
    if (part.set | part.clear) & (more | 1 << 6 | 1 << 12) == 0 {
        let again = held(&answer.frames, capabilities).expect("a rewritten answer is an answer");
        assert_eq!(again.1.results, seen.results);
        let status = seen.status.map(|status| (status | part.set) & !part.clear);
        assert_eq!(again.1.status, status);
    }
}
