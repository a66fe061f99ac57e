//! Answers of arbitrary packets under arbitrary capabilities: the same however the stream is cut, and never
//! anything after the end. Never here: rewriting answers (see `rewrite`).

use segue::wire::capability::Capabilities;
use segue::wire::command::AnswerShape;
use segue::wire::frame::FrameWalker;
use segue::wire::response::{ErrPacket, PrepareOk, parse_eof};
use segue::wire::rows::parse_text_row;
use segue::wire::scan::{Next, Scanner, Seen};

use crate::input::{Input, pieces};

pub const SHAPES: [AnswerShape; 8] = [
    AnswerShape::Results,
    AnswerShape::Prepare,
    AnswerShape::Rows,
    AnswerShape::Fields,
    AnswerShape::Single,
    AnswerShape::None,
    AnswerShape::Authentication,
    AnswerShape::Duplex,
];

/// How an answer went: what followed after each packet, bytes up to its end, and what it told.
#[derive(Debug, PartialEq)]
struct Course {
    nexts: Vec<Next>,
    bytes: usize,
    seen: Seen,
    failed: bool,
}

fn course(stream: &[u8], cuts: &[u8], mut scanner: Scanner) -> Course {
    let mut walker = FrameWalker::default();
    let mut course = Course { nexts: Vec::new(), bytes: 0, seen: Seen::default(), failed: false };
    'stream: for piece in pieces(stream, cuts) {
        let mut rest = piece;
        while !rest.is_empty() {
            if scanner.is_done() {
                break 'stream;
            }
            let (used, packet) = walker.take(rest);
            rest = &rest[used..];
            course.bytes += used;
            let Some(packet) = packet else { continue };
            match scanner.packet(packet) {
                Ok(next) => {
                    assert_eq!(next == Next::Done, scanner.is_done());
                    course.nexts.push(next);
                }
                Err(_) => {
                    course.failed = true;
                    break 'stream;
                }
            }
        }
    }
    if scanner.is_done() {
        let more = segue::wire::frame::PacketHead { head: &[0], length: 1, sequence: 0 };
        assert!(scanner.packet(more).is_err(), "a packet after the end");
    }
    course.seen = scanner.seen;
    course
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let shape = input.pick(&SHAPES);
    let capabilities = Capabilities::from(input.word());
    let cuts = input.chunk();
    let stream = input.rest();
    let whole = course(stream, &[], Scanner::new(shape, capabilities));
    let cut = course(stream, cuts, Scanner::new(shape, capabilities));
    assert_eq!(whole, cut);
    let single = course(stream, &[1], Scanner::new(shape, capabilities));
    assert_eq!(whole, single);
    let seen = whole.seen;
    assert!(seen.results as usize <= whole.nexts.len());
    assert!(seen.statuses as usize <= whole.nexts.len());
    assert!(seen.error.is_none() || seen.results > 0 || shape == AnswerShape::Single);
    packets(stream);
}

/// Each reader of one packet, over any bytes.
fn packets(bytes: &[u8]) {
    if let Ok(row) = parse_text_row(bytes) {
        assert!(row.len() <= bytes.len());
        let kept: usize = row.iter().flatten().map(Vec::len).sum();
        assert!(kept <= bytes.len());
    }
    let _ = parse_eof(bytes);
    for optional in [false, true] {
        let _ = PrepareOk::parse(bytes, optional);
    }
    let _ = ErrPacket::parse(bytes);
}
