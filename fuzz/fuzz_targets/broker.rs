//! Any request to a broker: it is refused with a known problem, or it is an operation that can be written and read back, with an identity
//! that is sent only to STS.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel::access::desk::{Operation, breakglass, credentials, locks, requests, sessions};
use sentinel::broker::{Recipient, open};
use sentinel::resource::signed_identity::BrokerUrl;

fuzz_target!(|body: &[u8]| {
    let url = BrokerUrl::new("https://broker.example.com").expect("it is an address");
    // The seeds were signed at this time.
    let now = "2026-11-26T20:35:10Z".parse().expect("it is a time");
    let recipient = Recipient { url: &url, endpoint: None, partition: "aws", now };
    check::<credentials::Obtain>(body, &recipient);
    check::<credentials::StartSession>(body, &recipient);
    check::<requests::Create>(body, &recipient);
    check::<requests::List>(body, &recipient);
    check::<requests::Approve>(body, &recipient);
    check::<requests::Revoke>(body, &recipient);
    check::<locks::Lock>(body, &recipient);
    check::<breakglass::Open>(body, &recipient);
    check::<breakglass::List>(body, &recipient);
    check::<sessions::List>(body, &recipient);
    check::<sessions::Revoke>(body, &recipient);
});

fn check<O: Operation>(body: &[u8], recipient: &Recipient<'_>) {
    // The operation alone, as if it were signed.
    if let Ok(operation) = serde_json::from_slice::<O>(body)
        && operation.check().is_ok()
    {
        let written = serde_json::to_string(&operation).expect("it can be written");
        let read: O = serde_json::from_str(&written).expect("it is read back");
        assert_eq!(serde_json::to_string(&read).expect("it can be written"), written);
    }
    match open::<O>(body, recipient) {
        Ok(opened) => {
            let host = opened.identity.url.strip_prefix("https://").and_then(|rest| rest.strip_suffix('/'));
            let host = host.expect("the URL has TLS and no path");
            assert!(host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"), "{host}");
            assert!(host.starts_with("sts") && !host.contains(['/', '@', ':', '?', '#']), "{host}");
        }
        Err(problem) => assert!(!problem.message().is_empty()),
    }
}
