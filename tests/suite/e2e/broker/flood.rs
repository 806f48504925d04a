//! Many identities that only STS can refuse.

use std::sync::mpsc::channel;

use super::*;

/// Forwards requests to the AWS emulator, except those of eve to STS, which it receives and does not answer. Calls `held` for each of
/// these.
fn holding(to: String, held: impl Fn() + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut client, to, held) = (stream.unwrap(), to.clone(), held.clone());
            std::thread::spawn(move || {
                let mut server = TcpStream::connect(&to).unwrap();
                let (mut back, mut answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || drop(std::io::copy(&mut answers, &mut back)));
                let mut part = [0; 16 << 10];
                loop {
                    let Ok(count) = client.read(&mut part) else { return };
                    let text = String::from_utf8_lossy(&part[..count]);
                    if text.contains("AKIALOCAL:eve/") && text.contains("/sts/") {
                        held();
                    } else if count == 0 || server.write_all(&part[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

/// Until STS answers, nobody knows whether a signature is valid.
#[test]
fn identities_that_sts_verifies_slowly_do_not_stop_known_users() {
    let world = world();
    let (sender, held) = channel();
    let endpoint =
        holding(world.url().strip_prefix("http://").unwrap().to_owned(), move || sender.send(()).unwrap_or_default());
    let port = free_port();
    let more = ["--at-once", "3", "--endpoint-url", &endpoint];
    let broker = Broker::start_as(&world, port, &format!("http://127.0.0.1:{port}"), &more);
    let ask = |user: &str| {
        let mut command = world.command_as(user, &["list", "--broker", &broker.url]);
        command.env("AWS_ENDPOINT_URL", &endpoint).spawn().unwrap()
    };
    finish(ask("alice")).expect(0);
    finish(ask("carol")).expect(0);
    let mut eve = ask("eve");
    held.recv().unwrap();
    finish(ask("alice")).expect(0);
    finish(ask("carol")).expect(0);
    let new = finish(ask("bob")).expect(1);
    assert!(new.stderr.contains("error[E202]"), "{}", new.stderr);
    let _ = eve.kill();
    let _ = eve.wait();
}
