//! The journal on real files: recovery, damage, bounds, group commit, and a model.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use segue_config::limits::{self, JOURNAL_SEGMENT_BYTES};
use tempfile::TempDir;

use super::*;

/// While a file of this name stands in the folder, the writer's disk refuses everything.
pub(super) const FULL_DISK: &str = "full-disk";

fn options(durability: Durability) -> JournalOptions {
    JournalOptions { durability, bytes_max: 256 << 20 }
}

/// What opening found, with what the records hold.
struct Found {
    records: Vec<(RecordId, Vec<u8>)>,
    damaged_bytes: u64,
    torn_tail: bool,
    gaps: bool,
}

async fn open(folder: &Path) -> (Journal, Found) {
    open_with(folder, options(Durability::Write), Arc::new(Metrics::new())).await
}

async fn open_with(
    folder: &Path,
    options: JournalOptions,
    metrics: Arc<Metrics>,
) -> (Journal, Found) {
    let (journal, recovery) = Journal::open(folder, options, metrics).await.unwrap();
    let Recovery { records, damaged_bytes, torn_tail, gaps } = recovery;
    let held = journal.read(records.clone()).await;
    let held = held.into_iter().map(|payload| payload.expect("a live record can be read"));
    let records = records.into_iter().zip(held).collect();
    (journal, Found { records, damaged_bytes, torn_tail, gaps })
}

fn payloads(recovery: &Found) -> Vec<&[u8]> {
    recovery.records.iter().map(|(_, payload)| payload.as_slice()).collect()
}

/// What a crash leaves: the files as they are at one moment, without the lock's holder. The writer goes on
/// removing and compacting meanwhile, so a copy of files that have changed is made anew.
fn crash(folder: &Path) -> TempDir {
    loop {
        let before = sizes(folder);
        let copy = tempfile::tempdir().unwrap();
        let copied = before.iter().all(|(path, _)| {
            std::fs::copy(path, copy.path().join(path.file_name().unwrap())).is_ok()
        });
        if copied && sizes(folder) == before {
            return copy;
        }
    }
}

/// Every file with its size. Segments only grow, and are never made again under an old name.
fn sizes(folder: &Path) -> BTreeMap<std::path::PathBuf, Option<u64>> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.clone(), std::fs::metadata(&path).ok().map(|data| data.len()))).collect()
}

fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn live_records_come_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, recovery) = open(folder.path()).await;
    assert!(recovery.records.is_empty());
    let first = journal.append(b"one".to_vec()).await.unwrap();
    let second = journal.append(b"two".to_vec()).await.unwrap();
    journal.append(Vec::new()).await.unwrap();
    journal.remove(first);
    journal.remove(first);
    journal.close().await.unwrap();
    assert!(journal.append(b"late".to_vec()).await.is_err());
    journal.close().await.unwrap();

    let (journal, recovery) = open(folder.path()).await;
    assert_eq!(payloads(&recovery), [b"two".as_slice(), b""]);
    assert_eq!(recovery.records[0].0, second);
    assert_eq!((recovery.damaged_bytes, recovery.torn_tail), (0, false));
    let third = journal.append(b"three".to_vec()).await.unwrap();
    assert!(recovery.records.iter().all(|(id, _)| *id < third), "ids are not used twice");
    journal.remove(second);
    journal.close().await.unwrap();
    assert_eq!(payloads(&open(folder.path()).await.1), [b"".as_slice(), b"three"]);
}

#[tokio::test]
async fn an_acknowledged_record_survives_a_kill() {
    for durability in [Durability::Write, Durability::Fsync] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) =
            open_with(folder.path(), options(durability), Arc::new(Metrics::new())).await;
        for number in 0..20_u8 {
            journal.append(vec![number; 10]).await.unwrap();
            let copy = crash(folder.path());
            let (_, recovery) = open(copy.path()).await;
            assert_eq!(recovery.records.len(), usize::from(number) + 1);
        }
    }
}

#[tokio::test]
async fn a_torn_tail_is_cut_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path()).await;
    journal.append(b"kept".to_vec()).await.unwrap();
    let whole = std::fs::metadata(&segments(folder.path())[0]).unwrap().len();
    journal.append(b"torn".to_vec()).await.unwrap();
    journal.close().await.unwrap();
    let bytes = std::fs::read(&segments(folder.path())[0]).unwrap();
    for cut in whole + 1..bytes.len() as u64 {
        let copy = crash(folder.path());
        let file = &segments(copy.path())[0];
        std::fs::write(file, &bytes[..usize::try_from(cut).unwrap()]).unwrap();
        let (journal, recovery) = open(copy.path()).await;
        assert_eq!(payloads(&recovery), [b"kept"], "cut at {cut}");
        assert_eq!((recovery.damaged_bytes, recovery.torn_tail), (0, true), "cut at {cut}");
        journal.append(b"next".to_vec()).await.unwrap();
        journal.close().await.unwrap();
        let (_, recovery) = open(copy.path()).await;
        assert_eq!(payloads(&recovery), [b"kept", b"next"]);
        assert_eq!((recovery.damaged_bytes, recovery.torn_tail), (0, false), "it was cut off");
    }
}

#[tokio::test]
async fn a_flipped_byte_is_reported_and_costs_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path()).await;
    for payload in [b"first", b"other", b"third"] {
        journal.append(payload.to_vec()).await.unwrap();
    }
    journal.close().await.unwrap();
    let bytes = std::fs::read(&segments(folder.path())[0]).unwrap();
    let length = bytes.len() / 3;
    for at in length..2 * length {
        let copy = crash(folder.path());
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        std::fs::write(&segments(copy.path())[0], damaged).unwrap();
        let (_, recovery) = open(copy.path()).await;
        assert_eq!(payloads(&recovery), [b"first", b"third"], "flipped at {at}");
        assert_eq!((recovery.damaged_bytes, recovery.torn_tail), (length as u64, false));
    }
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&segments(folder.path())[0], damaged).unwrap();
    let (_, recovery) = open(folder.path()).await;
    assert_eq!(payloads(&recovery), [b"first", b"other"]);
    assert!(recovery.damaged_bytes > 0, "a complete last record was acknowledged once");
}

#[tokio::test]
async fn a_full_journal_refuses_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions { durability: Durability::Write, bytes_max: 300 };
    let (journal, _) = open_with(folder.path(), options.clone(), Arc::new(Metrics::new())).await;
    let first = journal.append(vec![1; 100]).await.unwrap();
    journal.append(vec![2; 100]).await.unwrap();
    let error = journal.append(vec![3; 100]).await.unwrap_err();
    assert_eq!(error, JournalError::Full { bytes: journal.live_bytes() });
    journal.remove(first);
    journal.append(vec![4; 100]).await.unwrap();
    journal.close().await.unwrap();
    let (journal, recovery) = open_with(folder.path(), options, Arc::new(Metrics::new())).await;
    assert_eq!(recovery.records.len(), 2);
    assert!(matches!(journal.append(vec![5; 100]).await, Err(JournalError::Full { .. })));
}

#[tokio::test]
async fn a_full_journal_has_room_for_what_stands_for_many() {
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions { durability: Durability::Write, bytes_max: 300 };
    let (journal, _) = open_with(folder.path(), options, Arc::new(Metrics::new())).await;
    let reserve = usize::try_from(limits::JOURNAL_RESERVE_BYTES).unwrap();
    assert!(matches!(journal.append(vec![1; 400]).await, Err(JournalError::Full { .. })));
    journal.append_in_reserve(vec![2; 400]).await.unwrap();
    let error = journal.append_in_reserve(vec![3; reserve]).await;
    assert!(matches!(error, Err(JournalError::Full { .. })), "the reserve has an end, too");
}

#[tokio::test]
async fn live_records_are_read_while_others_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path()).await;
    let mut live = BTreeMap::new();
    // Several segments are written, emptied and moved meanwhile.
    for number in 0..150_u32 {
        let payload = [number.to_le_bytes().as_slice(), &vec![7; 1 << 19]].concat();
        let id = journal.append(payload).await.unwrap();
        match number % 10 {
            0 => drop(live.insert(id, number)),
            _ => journal.remove(id),
        }
        let read = journal.read(live.keys().copied().collect()).await;
        for (payload, number) in read.into_iter().zip(live.values()) {
            assert_eq!(payload.expect("it is live")[..4], number.to_le_bytes());
        }
    }
    let gone = *live.keys().next().unwrap();
    journal.remove(gone);
    assert_eq!(journal.read(vec![gone, RecordId(9_999)]).await, [None, None]);
}

#[tokio::test]
async fn a_record_damaged_since_it_was_written_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path()).await;
    let (first, second) =
        (journal.append(b"first".to_vec()).await.unwrap(), journal.append(b"2".to_vec()).await);
    let file = &segments(folder.path())[0];
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.windows(5).position(|window| window == b"first").unwrap();
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
    assert_eq!(journal.read(vec![first, second.unwrap()]).await, [None, Some(b"2".to_vec())]);
}

#[tokio::test]
async fn a_second_opener_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path()).await;
    let second =
        Journal::open(folder.path(), options(Durability::Write), Arc::new(Metrics::new())).await;
    assert!(matches!(second, Err(JournalError::InUse { .. })));
    journal.close().await.unwrap();
    open(folder.path()).await;
}

#[tokio::test]
async fn a_dropped_journal_gives_the_folder_free() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path()).await;
    journal.append(b"x".to_vec()).await.unwrap();
    drop(journal);
    for _ in 0..100 {
        let again =
            Journal::open(folder.path(), options(Durability::Write), Arc::new(Metrics::new()));
        if let Ok((_, recovery)) = again.await {
            assert_eq!(recovery.records.len(), 1);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the folder stays locked");
}

#[tokio::test]
async fn concurrent_appends_share_syncs() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    let (journal, _) =
        open_with(folder.path(), options(Durability::Fsync), Arc::clone(&metrics)).await;
    let appends = (0..500_u32).map(|number| journal.append(number.to_le_bytes().to_vec()));
    let ids = futures_util::future::join_all(appends).await;
    assert!(ids.iter().all(Result::is_ok));
    let syncs = metrics.journal_syncs.get();
    assert!((1..=100).contains(&syncs), "{syncs} syncs for 500 appends");
    journal.append(vec![]).await.unwrap();
    assert_eq!(metrics.journal_syncs.get(), syncs + 1, "an append on its own has its own sync");
}

#[tokio::test]
async fn a_disk_error_fails_the_append_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    let (journal, _) =
        open_with(folder.path(), options(Durability::Fsync), Arc::clone(&metrics)).await;
    let kept = journal.append(b"kept".to_vec()).await.unwrap();
    let gone = journal.append(b"gone".to_vec()).await.unwrap();
    std::fs::write(folder.path().join(FULL_DISK), "").unwrap();
    let before = journal.live_bytes();
    assert!(matches!(journal.append(b"lost".to_vec()).await, Err(JournalError::Io { .. })));
    assert_eq!(journal.live_bytes(), before);
    assert!(metrics.journal_errors.get() > 0);
    journal.remove(gone);
    tokio::time::sleep(Duration::from_millis(250)).await;
    std::fs::remove_file(folder.path().join(FULL_DISK)).unwrap();
    let next = journal.append(b"next".to_vec()).await.unwrap();
    journal.close().await.unwrap();
    let (_, recovery) = open(folder.path()).await;
    assert_eq!(
        recovery.records,
        [(kept, b"kept".to_vec()), (next, b"next".to_vec())],
        "the removal was tried again"
    );
}

#[tokio::test]
async fn dead_bytes_are_given_back_and_live_ones_kept() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    let (journal, _) =
        open_with(folder.path(), options(Durability::Write), Arc::clone(&metrics)).await;
    let parked = journal.append(b"parked".to_vec()).await.unwrap();
    let size = 1 << 20;
    for number in 0..100_u8 {
        let id = journal.append(vec![number; size]).await.unwrap();
        journal.remove(id);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let bytes = u64::try_from(metrics.journal_bytes.get()).unwrap();
    assert!(bytes <= 3 * JOURNAL_SEGMENT_BYTES, "{bytes} bytes of 100 MB remain");
    let on_disk: u64 =
        segments(folder.path()).iter().map(|path| std::fs::metadata(path).unwrap().len()).sum();
    assert_eq!(on_disk, bytes);
    let copy = crash(folder.path());
    let (_, recovery) = open(copy.path()).await;
    assert_eq!(recovery.records, [(parked, b"parked".to_vec())]);
    assert_eq!(recovery.damaged_bytes, 0);
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u8>),
    /// Removes one of the live records, by position.
    Remove(usize),
    Reopen,
    /// Leaves the journal open and goes on with a copy of its files.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Append),
        3 => (0..50_usize).prop_map(Step::Remove),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

/// Live records must be there after every opening; removed ones may come back after a crash only.
async fn check_model(steps: Vec<Step>) {
    let mut folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path()).await.0;
    let mut live: BTreeMap<RecordId, Vec<u8>> = BTreeMap::new();
    let mut removed: BTreeMap<RecordId, Vec<u8>> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Append(payload) => {
                let id = journal.append(payload.clone()).await.unwrap();
                assert!(live.insert(id, payload).is_none());
            }
            Step::Remove(position) => {
                let id = live.keys().nth(position % live.len().max(1)).copied();
                if let Some(id) = id {
                    journal.remove(id);
                    removed.extend(live.remove(&id).map(|payload| (id, payload)));
                }
            }
            Step::Reopen => {
                journal.close().await.unwrap();
                let (again, recovery) = open(folder.path()).await;
                journal = again;
                assert_eq!(recovery.records, live.clone().into_iter().collect::<Vec<_>>());
                removed.clear();
            }
            Step::Crash => {
                let copy = crash(folder.path());
                journal.close().await.unwrap();
                let (again, recovery) = open(copy.path()).await;
                (journal, folder) = (again, copy);
                let found: BTreeMap<_, _> = recovery.records.into_iter().collect();
                for (id, payload) in &live {
                    assert_eq!(found.get(id), Some(payload), "a live record is lost");
                }
                for (id, payload) in &found {
                    let known = live.get(id).or_else(|| removed.get(id));
                    assert_eq!(known, Some(payload), "a record from nowhere");
                }
                live = found;
                removed.clear();
            }
        }
    }
    let live_bytes: u64 = live.values().map(|payload| shared::record_bytes(payload) as u64).sum();
    assert_eq!(journal.live_bytes(), live_bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_keeps_what_is_live(steps in proptest::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_model(steps));
    }
}

#[tokio::test]
async fn the_mark_of_gaps_outlives_the_process_until_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, recovery) = open(folder.path()).await;
    assert!(!recovery.gaps);
    journal.mark_gap().await.unwrap();
    journal.mark_gap().await.unwrap();
    let (_, recovery) = open(crash(folder.path()).path()).await;
    assert!(recovery.gaps);
    journal.close().await.unwrap();
    let (journal, recovery) = open(folder.path()).await;
    assert!(recovery.gaps);
    journal.mend_gap().await.unwrap();
    journal.close().await.unwrap();
    assert!(!open(folder.path()).await.1.gaps);
}
