//! Runs that are killed at any moment, and repeated.
//!
//! `SENTINEL_TEST_KILLS=N` sets the number of killed runs; `SENTINEL_TEST_SEED=S` repeats a series.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::world::{Call, World, finish};

/// The initial state of the killed run: empty, or drifted.
const BEFORE: [&str; 2] = [
    "",
    r#"[profiles.p0]
policy = "old.yaml"
[profiles.p1]
[tables.approvals]
ttl_attribute = false
[tables.audit]
name = "acme-audit"
partition_key = { name = "id", type = "S" }
[tables.audit.indexes.kind-index]
partition_key = { name = "kind", type = "S" }
"#,
];

fn manifest() -> String {
    let mut text = String::from("[aws]\nregion = \"us-east-1\"\n");
    for number in 0..8 {
        text.push_str(&format!("[profiles.p{number}]\npolicy = \"new.yaml\"\n"));
    }
    text.push_str(
        r#"[tables.approvals]
point_in_time_recovery = true
[tables.sessions]
deletion_protection = true
tags = { team = "security" }
[tables.audit]
name = "acme-audit"
partition_key = { name = "id", type = "S" }
ttl_attribute = "expires_at"
[tables.audit.indexes.kind-index]
partition_key = { name = "kind", type = "S" }
[tables.audit.indexes.actor-index]
partition_key = { name = "actor", type = "S" }
"#,
    );
    text
}

fn world(before: &str) -> World {
    let world = World::quick();
    let policy = |name: &str| format!("version: \"1\"\nrules:\n  - {{ name: {name}, effect: deny }}\n");
    world.write("old.yaml", &policy("old")).write("new.yaml", &policy("new"));
    world.write("sentinel.toml", &format!("[aws]\nregion = \"us-east-1\"\n{before}"));
    if !before.is_empty() {
        world.run(&["apply", "--yes", "--quiet"]).expect(0);
    }
    world.write("sentinel.toml", &manifest());
    world
}

/// The time and calls of an uninterrupted run.
struct Undisturbed {
    time: Duration,
    calls: usize,
}

fn undisturbed(before: &str) -> Undisturbed {
    let world = world(before);
    world.calls();
    let started = Instant::now();
    world.run(&["apply", "--yes", "--quiet"]).expect(0);
    Undisturbed { time: started.elapsed(), calls: world.calls().len() }
}

#[test]
fn an_apply_after_a_kill_ends_in_sync() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let kills = number("SENTINEL_TEST_KILLS").unwrap_or(8);
    let seed = number("SENTINEL_TEST_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut random = fastrand::Rng::with_seed(seed);
    let whole = BEFORE.map(undisturbed);
    let mut cut = 0;
    for kill in 0..kills {
        let place = random.usize(..BEFORE.len());
        let world = world(BEFORE[place]);
        let context = format!("kill {kill} of SENTINEL_TEST_SEED={seed}");
        world.calls();
        let mut child = world.command(&["apply", "--yes", "--quiet", "--endpoint-url", world.url()]).spawn().unwrap();
        if random.bool() {
            // At a random moment.
            std::thread::sleep(whole[place].time.mul_f64(random.f64()));
        } else {
            // At a request: whether it takes effect is random, and its response is lost.
            let left = Arc::new(AtomicUsize::new(random.usize(1..=whole[place].calls)));
            let arrived = Arc::clone(&left);
            world.fault(move |_: &Call| {
                let _ = arrived.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                None
            });
            while left.load(Ordering::SeqCst) > 0 && child.try_wait().unwrap().is_none() {
                std::thread::yield_now();
            }
        }
        child.kill().unwrap();
        let killed = finish(child);
        cut += usize::from(killed.code == -1 && !world.writes().is_empty());
        world.clear_faults();
        let again = world.run(&["apply", "--yes"]);
        assert_eq!(again.code, 0, "{context}: {}{}", again.stdout, again.stderr);
        let plan = world.run(&["plan", "--detailed-exitcode"]);
        assert_eq!(plan.code, 0, "{context}: {}{}", plan.stdout, plan.stderr);
    }
    println!(
        "{kills} applies killed (SENTINEL_TEST_SEED={seed}), {cut} of them between their first write and their end"
    );
    // The test would prove nothing if all runs were killed too early or too late.
    assert!(kills < 20 || cut * 4 > usize::try_from(kills).unwrap(), "{cut} of {kills} were cut in the middle");
}
