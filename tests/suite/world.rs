//! The world of a test: a folder, an AWS, and the recorded calls.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::CommandFactory;
use sentinel::cli::Cli;
pub use sentinel::local::Answer;
use sentinel::local::{Handler, LocalAws, Request, Rules, Server, Users};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A received request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Such as `PutParameter`; `GetCallerIdentity` for STS.
    pub operation: String,
    pub body: Value,
    /// The service that it was signed for, such as `ssm`.
    pub service: String,
    /// The region that it was signed for.
    pub region: String,
}

impl Call {
    /// Returns an error in the format of the service.
    pub fn refusal(&self, code: &str, message: &str) -> Answer {
        if !["sns", "iam"].contains(&self.service.as_str()) {
            return Answer::error(400, code, message);
        }
        let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
        let body = format!("<ErrorResponse>{error}<RequestId>test</RequestId></ErrorResponse>").into_bytes();
        Answer { status: 400, content_type: "text/xml", body }
    }

    pub fn writes(&self) -> bool {
        !["Get", "Describe", "List", "Query", "Scan", "AssumeRole"].iter().any(|head| self.operation.starts_with(head))
    }
}

type Fault = Box<dyn FnMut(&Call) -> Option<Answer> + Send>;

#[derive(Default)]
struct Shared {
    calls: Vec<Call>,
    faults: Vec<Fault>,
    /// Operations whose next call takes effect and gets an internal error as its response.
    losses: Vec<&'static str>,
    /// The users whose permissions are limited to their policies.
    users: Users,
}

pub struct World {
    pub folder: TempDir,
    url: String,
    shared: Arc<Mutex<Shared>>,
    /// Only one test at a time may use a moto server.
    _turn: Option<MutexGuard<'static, ()>>,
}

/// The result of a run of the binary.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        let document: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in:\n{}", self.stdout));
        if ["plan", "show"].iter().any(|command| document["command"] == **command) {
            crate::schema::check_plan(&document);
        }
        document
    }
}

/// Returns the address of the moto server for the tests, if there is one.
pub fn moto() -> Option<String> {
    std::env::var("SENTINEL_TEST_AWS").ok()
}

static TURN: Mutex<()> = Mutex::new(());

impl World {
    pub fn new() -> Self {
        // Short enough to wait for, and long enough that a table is seen CREATING.
        let ms = Duration::from_millis;
        Self::with(Rules {
            table_creation: ms(150),
            table_update: ms(20),
            table_deletion: ms(20),
            encryption_change: ms(100),
            backups_delay: ms(100),
            ..Rules::default()
        })
    }

    /// Returns a world in which AWS's long operations are short.
    pub fn quick() -> Self {
        let ms = Duration::from_millis;
        Self::with(Rules {
            table_creation: ms(50),
            table_update: ms(20),
            table_deletion: ms(20),
            encryption_change: ms(20),
            index_backfill: ms(50),
            index_deletion: ms(50),
            ttl_settling: ms(0),
            ttl_cooldown: ms(0),
            backups_delay: ms(20),
            tag_lock: ms(50),
            replica_creation: ms(80),
            replica_deletion: ms(40),
            insights_settling: ms(50),
            kinesis_settling: ms(50),
            policy_lag: ms(50),
            policy_cooldown: ms(100),
        })
    }

    pub fn with(rules: Rules) -> Self {
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let turn = moto().map(|_| TURN.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(url) = moto() {
            http(&url, "POST /moto-api/reset", &[], b"");
        }
        let handler = handler(Arc::clone(&shared), rules);
        let (sender, receiver) = std::sync::mpsc::channel();
        // The other tests, and those of the roles, send unusual requests. A single thread does not have a test's name.
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let logged = test == "main" || (test.starts_with("e2e::") && !test.starts_with("e2e::roles"));
        let log = std::env::var_os("SENTINEL_TEST_LOG").filter(|_| logged);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let mut server = Server::bind_handler(0, handler).await.unwrap();
                if let Some(log) = log {
                    server.log_to(Path::new(&log)).unwrap();
                }
                sender.send(server.address()).unwrap();
                server.run().await;
            });
        });
        let url = format!("http://{}", receiver.recv().unwrap());
        Self { folder: tempfile::tempdir().unwrap(), url, shared, _turn: turn }
    }

    /// Writes a file into the folder.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Runs the binary against this AWS, in `us-east-1` unless the arguments have a region.
    pub fn run(&self, args: &[&str]) -> Run {
        let mut command = self.command(args);
        if takes(args, "endpoint-url") {
            command.args(["--endpoint-url", &self.url]);
        }
        if !args.contains(&"--region") {
            command.env("AWS_REGION", "us-east-1");
        }
        finish(command.spawn().unwrap())
    }

    /// Runs the binary as a user.
    pub fn run_as(&self, user: &str, args: &[&str]) -> Run {
        finish(self.command_as(user, args).spawn().unwrap())
    }

    /// Returns the JSON document of a command that succeeds for a user.
    #[track_caller]
    pub fn json_as(&self, user: &str, args: &[&str]) -> Value {
        self.run_as(user, &[&["--json"], args].concat()).expect(0).json()
    }

    /// Returns the binary as a user runs it, with this AWS in the environment.
    pub fn command_as(&self, user: &str, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.env("AWS_ACCESS_KEY_ID", format!("AKIALOCAL:{user}"));
        command.env("AWS_ENDPOINT_URL", &self.url).env("AWS_REGION", "us-east-1");
        command
    }

    /// Returns the binary with these arguments, in the folder, without the machine's own AWS settings.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
        command.current_dir(self.folder.path()).args(args).env_clear();
        command.env("HOME", self.folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("SHELL", "/bin/zsh");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the calls since the last time.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared().calls)
    }

    /// Returns the writing operations since the last time.
    pub fn writes(&self) -> Vec<String> {
        self.calls().into_iter().filter(Call::writes).map(|call| call.operation).collect()
    }

    /// Answers the calls that match with an error, until the faults are cleared.
    pub fn fail(&self, operation: &'static str, code: &'static str, matching: &'static str) {
        self.fault(move |call| {
            let matches = call.operation == operation && call.body.to_string().contains(matching);
            matches.then(|| call.refusal(code, &format!("{code} by the test on {operation}")))
        });
    }

    pub fn fault(&self, fault: impl FnMut(&Call) -> Option<Answer> + Send + 'static) {
        self.shared().faults.push(Box::new(fault));
    }

    /// Loses the response of the operation's next call, which takes effect.
    pub fn lose(&self, operation: &'static str) {
        self.shared().losses.push(operation);
    }

    pub fn clear_faults(&self) {
        self.shared().faults.clear();
    }

    /// Limits a user's permissions to these policy documents.
    pub fn restrict(&self, user: &str, documents: &[&str]) {
        self.shared().users.add(user, documents).unwrap();
    }

    /// Makes one call as a user, and returns its status and response.
    pub fn aws_as(&self, user: &str, target: &str, body: &Value) -> (u16, Value) {
        aws_as(&self.url, user, target, body)
    }

    /// Makes one direct call.
    #[track_caller]
    pub fn aws(&self, target: &str, body: &Value) -> Value {
        self.aws_in("us-east-1", target, body)
    }

    /// Makes one direct call in a region.
    #[track_caller]
    pub fn aws_in(&self, region: &str, target: &str, body: &Value) -> Value {
        let service = match target.split('.').next() {
            Some("AmazonSSM") => "ssm",
            Some("TrentService") => "kms",
            Some("ResourceGroupsTaggingAPI_20170126") => "tagging",
            _ => "dynamodb",
        };
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{region}/{service}/aws4_request");
        let headers =
            [("x-amz-target", target), ("authorization", &scope), ("content-type", "application/x-amz-json-1.1")];
        let started = std::time::Instant::now();
        loop {
            let (status, answer) = http(&self.url, "POST /", &headers, body.to_string().as_bytes());
            let answer: Value = serde_json::from_slice(&answer).unwrap_or(Value::Null);
            self.shared().calls.pop();
            // Busy with another change.
            let busy =
                answer["__type"].as_str().is_some_and(|code| code.contains("InUse") || code.contains("Unavailable"));
            if busy && started.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(Duration::from_millis(10));
                continue;
            }
            assert_eq!(status, 200, "{target}: {answer}");
            return answer;
        }
    }

    /// Makes one direct call of SNS, and returns the XML of its response.
    #[track_caller]
    pub fn sns(&self, action: &str, fields: &[(&str, &str)]) -> String {
        self.query("sns", "2010-03-31", action, fields)
    }

    /// Makes one direct call of IAM, and returns the XML of its response.
    #[track_caller]
    pub fn iam(&self, action: &str, fields: &[(&str, &str)]) -> String {
        self.query("iam", "2010-05-08", action, fields)
    }

    #[track_caller]
    fn query(&self, service: &str, version: &str, action: &str, fields: &[(&str, &str)]) -> String {
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request");
        let headers = [("authorization", scope.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let fields = [&[("Action", action), ("Version", version)], fields].concat();
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let (status, answer) = http(&self.url, "POST /", &headers, body.as_bytes());
        self.shared().calls.pop();
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(status, 200, "{action}: {answer}");
        answer
    }

    /// Returns the content of a parameter.
    #[track_caller]
    pub fn parameter(&self, name: &str) -> String {
        let answer = self.aws("AmazonSSM.GetParameter", &json!({ "Name": name }));
        answer["Parameter"]["Value"].as_str().unwrap().to_owned()
    }

    /// Returns the description of a table.
    #[track_caller]
    pub fn table(&self, name: &str) -> Value {
        self.aws("DynamoDB_20120810.DescribeTable", &json!({ "TableName": name }))["Table"].take()
    }
}

/// Returns the permissions that these calls require: each action, with its ARN.
pub fn permissions(calls: &[Call]) -> BTreeSet<(String, String)> {
    let mut asked = BTreeSet::new();
    for call in calls {
        let body = &call.body;
        let service = if call.service == "tagging" { "tag" } else { call.service.as_str() };
        let ssm = service == "ssm";
        if service == "sns" {
            asked.insert(sns_permission(call));
            continue;
        }
        if service == "iam" {
            asked.extend(iam_permissions(call));
            continue;
        }
        if service == "application-autoscaling" {
            let targets = String::from("arn:aws:application-autoscaling:us-east-1:123456789012:scalable-target/*");
            let resource = if call.writes() { targets } else { String::from("*") };
            asked.insert((format!("{service}:{}", call.operation), resource));
            continue;
        }
        if call.operation == "DescribeKey" {
            // A policy allows it for any key, because the key of an alias is only known after a call.
            let keys = String::from("arn:aws:kms:us-east-1:123456789012:key/*");
            asked.insert((String::from("kms:DescribeKey"), keys));
            continue;
        }
        let text = |field: &str| body[field].as_str().map(str::to_owned);
        let mut names: Vec<String> =
            body["Names"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        names.extend(["Name", "ResourceId", "TableName", "Path"].iter().filter_map(|field| text(field)));
        let mut resources: Vec<String> = names
            .iter()
            // A version requires the permission for its parameter.
            .map(|name| name.split(':').next().unwrap())
            .map(|name| match ssm {
                true => format!("arn:aws:ssm:us-east-1:123456789012:parameter{name}"),
                false => format!("arn:aws:dynamodb:us-east-1:123456789012:table/{name}"),
            })
            .collect();
        resources.extend(text("ResourceArn").or_else(|| text("BackupArn")));
        if resources.is_empty() {
            resources.push(String::from("*"));
        }
        let mut actions = vec![call.operation.clone()];
        // Tags in a creation require the tagging permission.
        let tagged = body["Tags"].as_array().is_some_and(|tags| !tags.is_empty());
        match call.operation.as_str() {
            "GetCallerIdentity" | "AssumeRole" | "GetSessionToken" => continue,
            "Query" => {
                let index = body["IndexName"].as_str().unwrap();
                resources = resources.iter().map(|table| format!("{table}/index/{index}")).collect();
            }
            // Each part requires the permission of its operation.
            "TransactWriteItems" | "TransactGetItems" => {
                for part in body["TransactItems"].as_array().unwrap() {
                    for (kind, write) in part.as_object().unwrap() {
                        let table = write["TableName"].as_str().unwrap();
                        let arn = format!("arn:aws:dynamodb:us-east-1:123456789012:table/{table}");
                        asked.insert((format!("dynamodb:{kind}Item"), arn));
                    }
                }
                continue;
            }
            "PutParameter" if tagged => actions.push(String::from("AddTagsToResource")),
            "CreateTable" if tagged => actions.push(String::from("TagResource")),
            _ => {}
        }
        for action in &actions {
            asked.extend(resources.iter().map(|resource| (format!("{service}:{action}"), resource.clone())));
        }
    }
    asked
}

/// Returns the permission that a call of SNS requires. The ARN of a subscription is that of its topic with an additional part.
fn sns_permission(call: &Call) -> (String, String) {
    let text = |field: &str| call.body[field].as_str().map(str::to_owned);
    let named = text("Name").map(|name| format!("arn:aws:sns:us-east-1:123456789012:{name}"));
    let topic = text("SubscriptionArn").and_then(|arn| arn.rsplit_once(':').map(|(topic, _)| topic.to_owned()));
    let resource = named.or(topic).or(text("TopicArn")).or(text("ResourceArn"));
    (format!("sns:{}", call.operation), resource.unwrap_or_else(|| String::from("*")))
}

/// Returns the permissions that a call of IAM requires. Tags and a boundary in a creation require their own permissions.
fn iam_permissions(call: &Call) -> Vec<(String, String)> {
    let text = |field: &str| call.body[field].as_str().map(str::to_owned);
    let path = text("Path").unwrap_or_else(|| String::from("/"));
    let role = text("RoleName").map(|name| format!("arn:aws:iam::123456789012:role{path}{name}"));
    let resource = role.or(text("OpenIDConnectProviderArn")).unwrap_or_else(|| String::from("*"));
    let mut actions = vec![call.operation.as_str()];
    if call.operation == "CreateRole" {
        actions.extend(text("Tags.member.1.Key").map(|_| "TagRole"));
        actions.extend(text("PermissionsBoundary").map(|_| "PutRolePermissionsBoundary"));
    }
    actions.into_iter().map(|action| (format!("iam:{action}"), resource.clone())).collect()
}

/// Returns whether the command of a command line has an option.
fn takes(args: &[&str], option: &str) -> bool {
    let root = Cli::command();
    let mut command = &root;
    for word in args {
        command = command.find_subcommand(word).unwrap_or(command);
    }
    command.get_arguments().any(|arg| arg.get_long() == Some(option))
}

/// Waits for a process to end, and returns its output.
pub fn finish(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn handler(shared: Arc<Mutex<Shared>>, rules: Rules) -> Handler {
    let local = LocalAws::memory(rules);
    Arc::new(move |request: Request| {
        let operation = request.operation();
        let form =
            || form_urlencoded::parse(&request.body).map(|(key, value)| (key.into_owned(), json!(value))).collect();
        let body = serde_json::from_slice(&request.body).unwrap_or_else(|_| Value::Object(form()));
        let call = Call { operation, body, service: request.service.clone(), region: request.region.clone() };
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let local = local.with_users(shared.users.clone());
        shared.calls.push(call.clone());
        let failed = shared.faults.iter_mut().find_map(|fault| fault(&call));
        let lost = shared.losses.iter().position(|name| *name == call.operation);
        let lost = lost.map(|at| shared.losses.remove(at)).is_some();
        drop(shared);
        let mut answer = failed.unwrap_or_else(|| match moto() {
            // moto does not know users by these keys.
            Some(_) if call.operation == "GetCallerIdentity" && request.key.starts_with("AKIALOCAL:") => {
                local.answer(&request)
            }
            Some(url) => forward(&url, &request),
            None => local.answer(&request),
        });
        if lost {
            answer = Answer::error(500, "InternalServerError", "the answer was lost");
        }
        Box::pin(async move { answer })
    })
}

/// Forwards a request to moto.
fn forward(url: &str, request: &Request) -> Answer {
    let (service, kind) = match request.target.split('.').next() {
        Some("AmazonSSM") => ("ssm", "application/x-amz-json-1.1"),
        Some("DynamoDB_20120810") => ("dynamodb", "application/x-amz-json-1.0"),
        Some("TrentService") => ("kms", "application/x-amz-json-1.1"),
        Some("AnyScaleFrontendService") => ("application-autoscaling", "application/x-amz-json-1.1"),
        Some("ResourceGroupsTaggingAPI_20170126") => ("tagging", "application/x-amz-json-1.1"),
        Some("AWSOrganizationsV20161128") => ("organizations", "application/x-amz-json-1.1"),
        _ if request.service == "sns" => ("sns", "application/x-www-form-urlencoded"),
        _ if request.service == "iam" => ("iam", "application/x-www-form-urlencoded"),
        _ => ("sts", "application/x-www-form-urlencoded"),
    };
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential={}/20260101/{}/{service}/aws4_request, SignedHeaders=host, Signature=0",
        request.key, request.region
    );
    let headers = [("x-amz-target", request.target.as_str()), ("authorization", &scope), ("content-type", kind)];
    let headers: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let (status, body) = http(url, "POST /", &headers, &request.body);
    Answer {
        status,
        content_type: if ["sts", "sns", "iam"].contains(&service) { "text/xml" } else { "application/x-amz-json-1.1" },
        body,
    }
}

/// Makes one call to an AWS emulator as a user, and returns its status and response.
pub fn aws_as(url: &str, user: &str, target: &str, body: &Value) -> (u16, Value) {
    let scope =
        format!("AWS4-HMAC-SHA256 Credential=AKIALOCAL:{user}/20260101/us-east-1/any/aws4_request, Signature=0");
    let headers = [("x-amz-target", target), ("authorization", &scope), ("content-type", "application/x-amz-json-1.1")];
    let (status, answer) = http(url, "POST /", &headers, body.to_string().as_bytes());
    (status, serde_json::from_slice(&answer).unwrap_or(Value::Null))
}

/// Makes one HTTP request on its own connection.
pub fn http(url: &str, line: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Vec<u8>) {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let mut head = format!("{line} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if headers.iter().all(|(name, _)| *name != "host") {
        head.push_str(&format!("host: {host}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer[split + 4..].to_vec())
}

/// Replaces the parts of output that differ between runs: ports, identities, times.
#[macro_export]
macro_rules! snapshot {
    ($text:expr) => {{
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT");
        settings.add_filter(r"arn:aws:(iam|sts)::123456789012:[a-z]+/[a-z]+", "CALLER");
        settings.add_filter(r"\(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( UTC)?\)", "(TIME)");
        settings.add_filter(r#""modified": \d+"#, r#""modified": TIME"#);
        settings.add_filter(r"\(\d+\.\d s\)", "(TIME s)");
        settings.set_prepend_module_to_snapshot(false);
        settings.bind(|| insta::assert_snapshot!($text));
    }};
}
