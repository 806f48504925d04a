//! Several brokers on the same tables, and one that is killed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{Broker, request, world};
use crate::e2e::access::record;

#[test]
fn of_fifty_approvals_through_three_brokers_one_wins() {
    let world = world();
    let brokers = [(); 3].map(|()| Broker::start(&world));
    let id = request(&world, &brokers[0], "alice");
    let runs: Vec<_> = std::thread::scope(|scope| {
        let (world, brokers, id) = (&world, &brokers, &id);
        let approve = |number: usize| {
            let broker = &brokers[number % 3];
            scope.spawn(move || broker.run(world, &format!("bob{number}"), &["approve", id, "--json"]))
        };
        let all: Vec<_> = (0..50).map(approve).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let won: Vec<String> = runs
        .iter()
        .filter(|run| run.code == 0)
        .map(|run| run.json()["request"]["decided_by"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(won.len(), 1, "{won:?}");
    for run in runs.iter().filter(|run| run.code != 0) {
        let stderr = &run.stderr;
        assert!(stderr.contains(&format!("is already approved by {}", won[0])), "{stderr}");
    }
    assert_eq!(record(&world, &format!("decision#{id}"))["decided_by"]["S"], won[0]);
    let done = brokers
        .iter()
        .flat_map(Broker::logged)
        .filter(|line| line["operation"] == "approve" && line["outcome"] == "done");
    assert_eq!(done.count(), 1);
}

/// Two hundred requests are sent to a broker that is killed in the meantime.
#[test]
fn a_killed_broker_has_logged_every_release() {
    const ALL: usize = 200;
    let world = world();
    let broker = Broker::start(&world);
    let (url, log) = (broker.url.clone(), broker.log.clone());
    let broker = Arc::new(Mutex::new(broker));
    let assumed = Arc::new(AtomicUsize::new(0));
    let (killer, counted) = (Arc::clone(&broker), Arc::clone(&assumed));
    let at = ALL / 4 + fastrand::usize(..ALL / 2);
    world.fault(move |call| {
        if call.operation == "AssumeRole" && counted.fetch_add(1, Ordering::SeqCst) == at {
            killer.lock().unwrap().kill();
        }
        None
    });
    let next = AtomicUsize::new(0);
    let released: BTreeSet<String> = std::thread::scope(|scope| {
        let (world, url, next) = (&world, &url, &next);
        let ask = move || {
            let mut released = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= ALL {
                    return released;
                }
                let args = ["credentials", "--profile", "prod", "--broker", url];
                let user = format!("bob{number}");
                let run = crate::world::finish(world.command_as(&user, &args).spawn().unwrap());
                if run.code == 0 {
                    released.push(run.json()["AccessKeyId"].as_str().unwrap().to_owned());
                }
            }
        };
        super::put_policy(
            world,
            "prod",
            &super::super::access::POLICY.replace("profiles: [dev], users: [alice]", "profiles: [prod]"),
        );
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(!released.is_empty() && released.len() < ALL, "{} were released", released.len());
    let text = std::fs::read_to_string(log).unwrap();
    // The last line may be truncated; no response was sent for it.
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let logged: BTreeSet<String> = lines
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["outcome"] == "released")
        .map(|line| line["access_key_id"].as_str().unwrap().to_owned())
        .collect();
    assert!(released.is_subset(&logged), "{:?}", released.difference(&logged).collect::<Vec<_>>());
    assert!(logged.len() <= assumed.load(Ordering::SeqCst));
}
