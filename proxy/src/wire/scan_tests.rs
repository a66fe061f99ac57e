//! Answers as servers send them, walked packet by packet.

use proptest::prelude::*;

use super::*;
use crate::wire::frame::HEAD_BYTES_MAX;
use crate::wire::status::AUTOCOMMIT;

fn walk(shape: AnswerShape, capabilities: Capabilities, packets: &[&[u8]]) -> (Vec<Next>, Seen) {
    let mut scanner = Scanner::new(shape, capabilities);
    let steps = packets
        .iter()
        .map(|p| {
            let head = PacketHead {
                head: &p[..p.len().min(HEAD_BYTES_MAX)],
                length: p.len() as u64,
                sequence: 0,
            };
            scanner.packet(head).unwrap()
        })
        .collect();
    (steps, scanner.seen)
}

const OK_DONE: &[u8] = &[0, 1, 5, 2, 0, 0, 0];
const OK_MORE: &[u8] = &[0, 1, 0, 10, 0, 0, 0];
const EOF_DONE: &[u8] = &[0xfe, 0, 0, 2, 0];
const EOF_CURSOR: &[u8] = &[0xfe, 0, 0, 0x42, 0];
const END_OK: &[u8] = &[0xfe, 0, 0, 2, 0, 0, 0];
const ROW: &[u8] = &[1, b'x'];
const COLUMN: &[u8] = &[3, b'd', b'e', b'f'];
const ERROR: &[u8] = b"\xff\xbd\x04#40001Deadlock";

fn done_only_at_the_end(steps: &[Next]) {
    let (last, before) = steps.split_last().unwrap();
    assert_eq!(*last, Next::Done);
    assert!(before.iter().all(|s| *s != Next::Done));
}

#[test]
fn an_ok_packet_tells_rows_and_insert_id() {
    let (steps, seen) = walk(AnswerShape::Results, 0, &[OK_DONE]);
    done_only_at_the_end(&steps);
    let ok = seen.ok.unwrap();
    assert_eq!((ok.affected_rows, ok.insert_id, ok.status), (1, 5, AUTOCOMMIT));
}

#[test]
fn result_sets_end_with_their_last_eof() {
    let (steps, _) =
        walk(AnswerShape::Results, 0, &[&[2], COLUMN, COLUMN, EOF_DONE, ROW, ROW, EOF_DONE]);
    done_only_at_the_end(&steps);
    let (steps, _) =
        walk(AnswerShape::Results, capability::DEPRECATE_EOF, &[&[1], COLUMN, ROW, END_OK]);
    done_only_at_the_end(&steps);
}

#[test]
fn rows_cut_short_in_a_routine_end_with_an_old_eof() {
    let cut: &[u8] = &[0xfe, 0, 0, 0x0a, 0];
    for row in [&[ROW][..], &[]] {
        let packets = [&[&[1], COLUMN], row, &[cut, &[1], COLUMN, ROW, END_OK]].concat();
        let (steps, seen) = walk(AnswerShape::Results, capability::DEPRECATE_EOF, &packets);
        done_only_at_the_end(&steps);
        assert_eq!(seen.results, 2);
    }
}

#[test]
fn the_flag_of_a_routines_own_cursor_leaves_rows_to_come() {
    let eof: &[u8] = &[0xfe, 0, 0, 0xca, 0];
    let (steps, seen) = walk(AnswerShape::Results, 0, &[&[1], COLUMN, eof, ROW, eof, ERROR]);
    done_only_at_the_end(&steps);
    assert_eq!(seen.results, 2);
}

#[test]
fn an_ok_packet_follows_out_parameters_announced_or_not() {
    let columns_end: &[u8] = &[0xfe, 0, 0, 0x0a, 0x10];
    // MySQL 9.7 and MariaDB 10.11.
    for rows_end in [EOF_DONE, columns_end] {
        let packets = [&[1], COLUMN, columns_end, ROW, rows_end, OK_DONE];
        let (steps, _) = walk(AnswerShape::Results, 0, &packets);
        done_only_at_the_end(&steps);
    }
}

#[test]
fn more_results_follow_where_the_status_says_so() {
    let (steps, seen) = walk(AnswerShape::Results, 0, &[OK_MORE, &[1], COLUMN, EOF_DONE, EOF_DONE]);
    done_only_at_the_end(&steps);
    assert_eq!(seen.results, 2);
}

#[test]
fn an_open_cursor_sends_no_rows() {
    let (steps, _) = walk(AnswerShape::Results, 0, &[&[1], COLUMN, EOF_CURSOR]);
    done_only_at_the_end(&steps);
}

#[test]
fn local_infile_gives_the_turn_to_the_client() {
    let (steps, _) = walk(AnswerShape::Results, 0, &[b"\xfb/tmp/x", OK_DONE]);
    assert_eq!(steps, [Next::Client, Next::Done]);
}

#[test]
fn an_error_ends_rows() {
    let (steps, seen) = walk(AnswerShape::Results, 0, &[&[1], COLUMN, EOF_DONE, ROW, ERROR]);
    done_only_at_the_end(&steps);
    assert_eq!(seen.error, Some(1213));
}

#[test]
fn prepare_answers_parameters_then_columns() {
    let ok: &[u8] = &[0, 7, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0];
    let (steps, seen) =
        walk(AnswerShape::Prepare, 0, &[ok, COLUMN, COLUMN, EOF_DONE, COLUMN, EOF_DONE]);
    done_only_at_the_end(&steps);
    assert_eq!(seen.prepared.unwrap().statement_id, 7);
    let (steps, _) =
        walk(AnswerShape::Prepare, capability::DEPRECATE_EOF, &[ok, COLUMN, COLUMN, COLUMN]);
    done_only_at_the_end(&steps);
    let none: &[u8] = &[0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (steps, _) = walk(AnswerShape::Prepare, 0, &[none]);
    done_only_at_the_end(&steps);
}

#[test]
fn metadata_may_be_left_out() {
    let caps = capability::OPTIONAL_RESULTSET_METADATA | capability::DEPRECATE_EOF;
    let (steps, _) = walk(AnswerShape::Results, caps, &[&[3, 0], ROW, END_OK]);
    done_only_at_the_end(&steps);
    let (steps, _) = walk(AnswerShape::Results, caps, &[&[1, 1], COLUMN, ROW, END_OK]);
    done_only_at_the_end(&steps);
}

proptest! {
    #[test]
    fn any_packets_never_panic(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..32), 0..20),
        capabilities in any::<u64>(),
    ) {
        for shape in [AnswerShape::Results, AnswerShape::Prepare, AnswerShape::Rows,
                      AnswerShape::Fields, AnswerShape::Single] {
            let mut scanner = Scanner::new(shape, capabilities);
            for p in &packets {
                if scanner.is_done() { break }
                let head = PacketHead { head: p, length: p.len() as u64, sequence: 0 };
                if scanner.packet(head).is_err() { break }
            }
        }
    }
}

#[test]
fn an_update_tells_in_its_info_how_many_rows_it_found() {
    let matched = |capabilities, info: &[u8]| {
        let packet = [OK_DONE, info].concat();
        walk(AnswerShape::Results, capabilities, &[&packet]).1.matched
    };
    let english = b"Rows matched: 12  Changed: 3  Warnings: 0";
    assert_eq!(matched(0, english), Some(12));
    // With session tracking the text has a length in front, which may look like a digit.
    let text = b"Datensaetze gefunden: 12  Geaendert: 3  Warnungen: 0";
    let tracked = [&[text.len() as u8][..], text].concat();
    assert_eq!(tracked[0], b'4');
    assert_eq!(matched(capability::SESSION_TRACK, &tracked), Some(12));
    assert_eq!(matched(0, b""), None);
    assert_eq!(matched(capability::SESSION_TRACK, b""), None);
    let wide: Vec<u8> = english.iter().flat_map(|byte| [0, *byte]).collect();
    assert_eq!(matched(0, &wide), None);
}
