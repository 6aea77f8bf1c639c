//! Limits that are seen, probed and lifted; requests that wait, and those that get no response.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::transport::connection_cap::cap::{ConnectionCap, PROBE_DELAY_MIN};
use crate::transport::connection_cap::request_order::RequestOrder;
use crate::transport::connection_cap::silence::{SILENCE_CHECK, Silence};
use crate::transport::connection_cap::slot::ConnectionSlot;

fn order(offset: u64) -> RequestOrder {
    RequestOrder { object: 0, offset }
}

fn open(cap: &Arc<ConnectionCap>) -> Option<ConnectionSlot> {
    let slot = cap.take_slot().or_else(|| cap.take_probe())?;
    slot.establish();
    Some(slot)
}

#[tokio::test(start_paused = true)]
async fn a_host_that_lets_some_live_is_tried_again_seldom() {
    for live in [1, 2, 4] {
        let cap = ConnectionCap::new();
        let mut slots: Vec<_> = (0..16).map(|_| open(&cap).unwrap()).collect();
        while slots.len() > live {
            slots.pop();
            assert!(cap.failed(false), "others are open");
        }
        assert_eq!((cap.allowed(), cap.has_spare()), (Some(live), false));
        let mut attempts = 0;
        for _ in 0..300 {
            tokio::time::advance(Duration::from_secs(1)).await;
            while let Some(slot) = open(&cap) {
                let is_probe = slot.is_probe();
                drop(slot);
                assert!(is_probe && cap.failed(is_probe));
                attempts += 1;
            }
        }
        assert!((6..=12).contains(&attempts), "{attempts} attempts in five minutes");
        assert_eq!(cap.allowed(), Some(live));
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_recovers_gets_all_connections_again_with_the_first_probe() {
    let cap = ConnectionCap::new();
    let mut slots: Vec<_> = (0..136).map(|_| open(&cap).unwrap()).collect();
    while slots.len() > 1 {
        slots.pop();
        assert!(cap.failed(false));
    }
    assert!(open(&cap).is_none(), "not yet");
    tokio::time::advance(PROBE_DELAY_MIN).await;
    while slots.len() < 136 {
        let slot = open(&cap).expect("many failed at the same time, and that was no probe");
        slot.responded(Duration::from_millis(20), true);
        slot.served();
        slots.push(slot);
    }
}

/// Opens a connection and receives the head of a response on it.
fn responding(cap: &Arc<ConnectionCap>) -> Option<ConnectionSlot> {
    let slot = open(cap)?;
    slot.responded(Duration::from_millis(20), true);
    Some(slot)
}

#[tokio::test(start_paused = true)]
async fn a_first_response_that_is_cut_shows_a_limit_if_other_connections_live_on() {
    for live in [1, 2, 4] {
        let cap = ConnectionCap::new();
        let mut slots: Vec<_> = (0..16).map(|_| responding(&cap).unwrap()).collect();
        for slot in slots.drain(live..) {
            slot.cut();
        }
        let mut attempts = 0;
        for second in 0..300 {
            while let Some(slot) = responding(&cap) {
                assert!(slot.is_probe() && second > 0);
                slot.cut();
                attempts += 1;
            }
            assert_eq!(cap.allowed(), Some(live), "the head of a response shows nothing");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!((6..=12).contains(&attempts), "{attempts} attempts in five minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_cut_shows_no_limit_if_no_connection_lives_on_or_it_is_not_the_first() {
    let cap = ConnectionCap::new();
    let all: Vec<_> = (0..16).map(|_| responding(&cap).unwrap()).collect();
    all.iter().for_each(ConnectionSlot::cut);
    drop(all);
    let slots = [responding(&cap).unwrap(), responding(&cap).unwrap()];
    slots[1].served();
    slots[1].cut();
    assert!(open(&cap).is_some());
    assert_eq!(cap.allowed(), None);
}

#[tokio::test]
async fn without_another_connection_a_failure_shows_no_limit() {
    let cap = ConnectionCap::new();
    drop(cap.take_slot());
    assert!(!cap.failed(false));
    assert_eq!(cap.allowed(), None);
}

#[tokio::test(start_paused = true)]
async fn requests_wait_in_their_order_and_take_connections_from_later_ones() {
    let cap = ConnectionCap::new();
    let slot = open(&cap).unwrap();
    assert!(cap.failed(false));
    let later = tokio::spawn(std::future::pending::<()>());
    let earlier = tokio::spawn(std::future::pending::<()>());
    let _leases = [(5, &later), (1, &earlier)]
        .map(|(offset, task)| cap.leased(order(offset), &slot, task.abort_handle()));
    let late = cap.wait(order(7));
    let mut early = cap.wait(order(3));
    assert!(cap.is_turn(order(3), Some(&early)) && !cap.is_turn(order(7), Some(&late)));
    assert!(!cap.is_turn(order(5), None) && cap.is_turn(order(1), None));

    early.wait().await;
    assert!(later.await.unwrap_err().is_cancelled());
    early.wait().await;
    assert!(!earlier.is_finished(), "what comes before has the older right");
    earlier.abort();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_takes_no_connection_that_gets_on_for_half_a_minute() {
    let cap = ConnectionCap::new();
    let slot = open(&cap).unwrap();
    let driver = || tokio::spawn(std::future::pending::<()>());
    let (busy, stuck) = (driver(), driver());
    let leases =
        [(9, &busy), (8, &stuck)].map(|(offset, task)| cap.leased(order(offset), &slot, task.abort_handle()));
    let mut waiting = cap.wait(order(3));
    for second in 1.. {
        leases[0].note_received();
        waiting.wait().await;
        tokio::task::yield_now().await;
        assert!(stuck.is_finished(), "{second}: it brings nothing");
        assert_eq!(busy.is_finished(), second > 30, "{second}");
        if busy.is_finished() {
            break;
        }
    }
}

/// What happens on other connections while a request is silent, and when it is then given up, if it is.
struct SilentCase {
    what: &'static str,
    is_new: bool,
    is_limited: bool,
    has_idle: bool,
    responses: u32,
    given_up: Option<(u64, Silence)>,
}

#[tokio::test(start_paused = true)]
async fn the_more_others_get_done_the_sooner_a_silent_request_moves() {
    use Silence::{OfConnection, Unexplained};
    let latency = Duration::from_millis(50);
    let case = |what, [is_new, is_limited, has_idle]: [bool; 3], responses, given_up| SilentCase {
        what,
        is_new,
        is_limited,
        has_idle,
        responses,
        given_up,
    };
    for case in [
        case("nothing happens", [true, false, false], 0, None),
        case("a limit is known, nothing happens", [true, true, false], 0, None),
        case("one idle", [true, false, true], 0, Some((2400, Unexplained))),
        case("one idle, a limit is known", [true, true, true], 0, Some((800, OfConnection))),
        case("one idle, one response", [true, false, true], 1, Some((800, OfConnection))),
        case("one response", [true, false, false], 1, Some((1400, OfConnection))),
        case("one response, a limit is known", [true, true, false], 1, Some((800, OfConnection))),
        case("two responses", [true, false, false], 2, Some((800, OfConnection))),
        case("one that worked before, nothing happens", [false, true, true], 0, None),
        case("one that worked before, two responses", [false, true, true], 2, Some((1400, OfConnection))),
    ] {
        let cap = ConnectionCap::new();
        cap.state().responded(latency, true);
        let mut slots = vec![open(&cap), open(&cap)];
        if case.is_limited {
            slots.pop();
            assert!(cap.failed(false));
        }
        let began = Instant::now();
        let others = async {
            for _ in 0..case.responses {
                tokio::time::sleep(Duration::from_millis(100)).await;
                cap.state().responded(latency, true);
            }
            std::future::pending::<()>().await;
        };
        let silence = cap.silence(None, case.is_new, || case.has_idle);
        let given_up = tokio::select! {
            silence = timeout(Duration::from_mins(1), silence) => silence.ok(),
            () = others => None,
        };
        let (due, expected) = case.given_up.unzip();
        assert_eq!(given_up, expected, "{}", case.what);
        if let Some(due) = due.map(Duration::from_millis) {
            let late = began.elapsed().checked_sub(due);
            assert!(
                late.is_some_and(|late| late <= 2 * SILENCE_CHECK),
                "{}: {:?}",
                case.what,
                began.elapsed()
            );
        }
    }
}
