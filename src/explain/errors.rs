//! The explanations of errors.

use super::Entry;
use crate::code::Code;

/// Returns the explanation of an error.
pub(super) fn entry(code: Code) -> Entry {
    let (title, means, example, fix) = match code {
        Code::Usage => (
            "Invalid arguments",
            "An option, an environment variable, a name or a combination of them is not valid. Sentinel read and \
             changed nothing in AWS.",
            "sentinel plan --only tables.sesions\nerror[E001]: --only tables.sesions matches nothing in the manifest",
            "Correct the argument that the message names. The hint lists valid values, and `sentinel COMMAND --help` \
             the options of a command.",
        ),
        Code::File => (
            "A file could not be read or written",
            "The manifest, a policy, a saved plan or an output file does not exist, is not readable, is too large, or \
             already exists. Sentinel replaces only files of its own, such as an older saved plan. It reads and writes \
             only regular files, and writes nothing through a link. It refuses a manifest that it found in a folder \
             above if the manifest or its folder belongs to another user.",
            "error[E002]: sentinel.toml: there is no such manifest",
            "Correct the path or its permissions. `sentinel init bootstrap --profile dev --write-manifest \
             sentinel.toml` creates a manifest. SENTINEL_SAFE_DIRECTORY=FOLDER allows the manifest of another user.",
        ),
        Code::Faults => (
            "The manifest, a policy or its test cases have errors",
            "Every error is shown with its line and a correction. Sentinel read nothing from AWS.",
            "error: unknown key `ttl_atribute` in `tables.audit`\n  help: did you mean `ttl_attribute`?",
            "Correct each marked line. `sentinel validate` checks again without AWS. `sentinel schema` prints a schema \
             with which an editor marks errors while you write.",
        ),
        Code::NoRegion => (
            "No AWS region configured",
            "Tables and parameters belong to one region, and Sentinel does not guess it.",
            "error[E004]: --region is required when provisioning DynamoDB tables",
            "Set --region, `region` under [aws] in the manifest, AWS_REGION, or `region` of the AWS profile.",
        ),
        Code::NotConfirmed => (
            "The changes were not confirmed",
            "`apply` asks once before its first change. The answer was not yes, or there was no terminal. Nothing was \
             changed.",
            "error[E005]: there is no terminal for the confirmation; nothing was changed",
            "Review the plan, then add --yes. In a pipeline, `sentinel plan --out FILE` and `sentinel apply FILE \
             --yes` make exactly the reviewed changes.",
        ),
        Code::Local => (
            "The AWS emulator could not be opened or served",
            "The folder of --local cannot be used: it is not writable, it or something in it is a link, a database in \
             it is damaged or has parts that Sentinel did not create, or another program is using it.",
            "error[E006]: the AWS emulator: …",
            "Name another folder with --local=PATH. To start over, delete the emulator's folder. If the folder came with a \
             checkout, find out who added it: a link in it could have made Sentinel write to another file.",
        ),
        Code::NotExported => (
            "The manifest cannot be exported as it is",
            "The manifest describes something that CloudFormation or Terraform does not support, or that does not fit \
             into a template. The message names each resource and setting. Nothing was written.",
            "error[E012]: cloudformation does not support everything in the manifest; nothing was written: \
             parameters.db-password: CloudFormation cannot create a SecureString",
            "Change the manifest, or keep the resource in Sentinel with --exclude. --allow-gaps writes everything \
             else, and lists what it omits.",
        ),
        Code::FailOn => (
            "The plan has a finding that --fail-on names",
            "`plan --fail-on` was asked to fail if a test case fails (`cases`), `apply` would refuse a difference (`refused`), \
             something could not be read (`incomplete`), a policy gives more access (`widened`), or a lint finds \
             something (`lint`). The plan is complete, and --out saved it.",
            "error[E013]: the plan has findings that --fail-on names: cases profiles.dev: alice into dev: expected \
             deny, gets allow (policies/dev.test.yaml:3)",
            "Correct what the message names. If the finding is intended, remove its name from --fail-on.",
        ),
        Code::Interrupted => (
            "The run was interrupted",
            "Ctrl-C ends a run as soon as the calls in flight have finished. SIGTERM, which CI systems send to cancel \
             a job, does the same once Sentinel has begun to make changes; before that, it ends the run at once. \
             Completed changes remain.",
            "error[E007]: interrupted before anything was changed",
            "Run the same command again: it continues where it stopped.",
        ),
        Code::OutOfTime => (
            "The timeout of the run expired",
            "--timeout ends a run: no call starts after it has expired. Completed changes remain.",
            "error[E008]: the --timeout expired before anything was changed",
            "Set a longer --timeout, or run the same command again: it continues where it stopped. With -v, the end of \
             a run shows what it waited for.",
        ),
        Code::Unwritable => (
            "A result could not be written as JSON",
            "A part of the result cannot be represented in JSON. Sentinel does not write an incomplete document. \
             Completed changes remain.",
            "error[E009]: the result cannot be written as JSON: …",
            "Run the command without --json, and report the message: no value, whether from AWS or from a file, should ever cause this.",
        ),
        Code::Internal => (
            "A bug in Sentinel",
            "Sentinel reached a state that should be impossible. The exit code is 1, as for other errors. Completed \
             changes remain.",
            "error[E010]: internal error: the completions could not be written: …",
            "Report it, with the command and the complete message; -v shows the causes. You can safely run the same \
             command again.",
        ),
        Code::System => (
            "An operating system call failed",
            "Sentinel could not start a process, listen on a local port, use the terminal, get random numbers or turn \
             off core dumps. The message names the call and the system's error.",
            "error[E011]: the credential server cannot listen on 127.0.0.1: Address not available (os error 99)",
            "Correct what the message names: limits on processes and open files (`ulimit -a`), the loopback interface, \
             or a sandbox that forbids the call.",
        ),
        Code::NoCredentials => (
            "No credentials were found",
            "None of the sources that AWS tools use has credentials: the environment, the AWS profile, a web identity, \
             a container, an instance.",
            "error[E101]: checking the credentials (sts:GetCallerIdentity): no credentials were found: …",
            "Name an AWS profile with --aws-profile or AWS_PROFILE, or set AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY. To try Sentinel without an account, add --local.",
        ),
        Code::Sso => (
            "There is no valid SSO session",
            "The AWS profile uses IAM Identity Center, whose session has expired or was never started.",
            "error[E102]: no credentials from the AWS profile admin: the SSO session has expired",
            "Run `aws sso login --profile NAME`, then the same command again.",
        ),
        Code::Profile => (
            "The AWS profile does not exist or cannot be used",
            "~/.aws/config and ~/.aws/credentials (or the files in AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE) \
             have no profile with this name, or the profile refers to one that does not exist.",
            "error[E103]: no credentials from the AWS profile prdo: …",
            "`aws configure list-profiles` lists the existing profiles. Correct --aws-profile, AWS_PROFILE, or \
             `profile` under [aws] in the manifest.",
        ),
        Code::CredentialProcess => (
            "A credential process failed",
            "The AWS profile gets its credentials from a command, which failed or printed something other than credentials.",
            "error[E104]: no credentials from the AWS profile build: the credential process exited with code exit \
             status: 1.",
            "Run the command of `credential_process` in a terminal, and correct it.",
        ),
        Code::InvalidCredentials => (
            "AWS does not recognize the credentials",
            "The access key was deleted, its secret is wrong, or the account must first enable the region.",
            "error[E105]: checking the credentials (sts:GetCallerIdentity): InvalidClientTokenId: The security token \
             included in the request is invalid.",
            "`aws sts get-caller-identity` with the same profile returns the same error. Create a new key, or enable \
             the region under Account in the AWS console.",
        ),
        Code::ExpiredCredentials => (
            "The temporary credentials have expired",
            "Credentials of a role or a session are valid for minutes to hours, and these have expired.",
            "error[E106]: checking the credentials (sts:GetCallerIdentity): ExpiredToken: The security token included \
             in the request is expired",
            "Get new ones: `aws sso login --profile NAME`, or assume the role again. Keys in the shell's environment \
             override a profile: unset AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.",
        ),
        Code::Clock => (
            "The machine's clock is wrong",
            "AWS accepts a signed request only within some minutes of its own time.",
            "error[E107]: checking the credentials (sts:GetCallerIdentity): SignatureDoesNotMatch: Signature expired: \
             …",
            "Set the clock (`timedatectl` shows whether it is synchronized). The clock of a virtual machine or container that was \
             suspended is often slow.",
        ),
        Code::Role => (
            "Could not assume the role",
            "Both sides must allow it: the calling credentials need sts:AssumeRole on the role, and the role's trust \
             policy must allow them.",
            "error[E108]: could not assume the role arn:aws:iam::123456789012:role/sentinel: …",
            "Check the ARN, the trust policy of the role, and whether it requires an external ID or an MFA code.",
        ),
        Code::Circular => (
            "An AWS profile and Sentinel request credentials from each other",
            "The AWS profile for Sentinel's own calls has a `credential_process` that runs Sentinel. Sentinel would \
             start itself again and again, and therefore limits nested runs.",
            "error[E109]: the AWS profile dev gets its credentials from Sentinel, which cannot use it for its own \
             calls",
            "Name another AWS profile for Sentinel's own calls with --aws-profile. If you nest shells of `sentinel \
             exec` on purpose, unset SENTINEL_DEPTH in the inner one.",
        ),
        Code::SharedFiles => (
            "The shared AWS files cannot be read",
            "~/.aws/config or ~/.aws/credentials (or a file in AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE) cannot \
             be opened, or has an invalid line.",
            "error[E110]: the shared AWS files cannot be read: could not parse profile file: error parsing \
             /home/alice/.aws/config on line 3: …",
            "Correct the line that the message names. `aws configure list-profiles` reads the same files.",
        ),
        Code::Mfa => (
            "An MFA code is required",
            "The AWS profile has `mfa_serial`, and its role can be assumed only with a code from the device.",
            "error[E111]: the AWS profile prod requires a code from the MFA device arn:aws:iam::123456789012:mfa/alice",
            "Give the code with --mfa-code CODE, or run the command in a terminal, where Sentinel asks for it. AWS \
             accepts each code only once: wait for the next one.",
        ),
        Code::RootUser => (
            "The credentials belong to an account's root user",
            "Sentinel never releases credentials of a root user, because no IAM policy limits them.",
            "error[E112]: the credentials of the AWS profile root are those of an account's root user, which are never \
             released",
            "Use the credentials of an IAM user, or of a role with the permissions for the task.",
        ),
        Code::PermanentKeys => (
            "Permanent keys cannot be exchanged for temporary ones",
            "Sentinel releases only temporary credentials. It exchanges an IAM user's keys with sts:GetSessionToken, \
             and AWS refused that.",
            "error[E113]: the keys of the AWS profile ci never expire, and STS does not exchange them for temporary \
             ones: …",
            "Give the AWS profile a role_arn to assume with these keys, or use IAM Identity Center.",
        ),
        Code::NoUser => (
            "The credentials do not belong to a user",
            "Records and decisions contain a user's name. An IAM user, a role session and a federated user have one. \
             An account's root user has none.",
            "error[E114]: arn:aws:iam::123456789012:root is neither an IAM user nor a role session, and has no user \
             name",
            "Use the credentials of an IAM user, or of a role.",
        ),
        Code::Denied => (
            "A permission is missing",
            "AWS recognizes the caller, but denies the call. Sentinel shows what it could not read as unknown, and \
             what it could not write as failed. It continues with the other resources.",
            "? Approvals table: sentinel-requests (unknown; …)\n      no permission for dynamodb:DescribeTable",
            "Request permission for the action that the message names. `sentinel iam --for plan` and `sentinel iam --for apply` print \
             policies with all permissions for the manifest, limited to exact ARNs. `--for requester`, `approver`, `operator` \
             and `server` print the policies for the users of the access commands, and `--for broker` the one for a \
             broker.",
        ),
        Code::Throttled => (
            "AWS throttled the call for too long",
            "Sentinel keeps to AWS's quotas, and retries for 15 minutes. Something else probably uses up the quota of \
             the account.",
            "error[E202]: ssm:PutParameter: ThrottlingException: Rate exceeded",
            "Run the same command again later: it continues where it stopped. You can turn on higher throughput in the \
             settings of Parameter Store.",
        ),
        Code::Quota => (
            "A quota of the account or the resource is reached",
            "The quota is one of these, by default: 10,000 standard parameters or 2,500 tables in a region, 20 indexes \
             on a table, or 100 versions of a parameter (AWS deletes the oldest version to make room, unless it has a \
             label).",
            "X Sessions table: dynamodb:CreateTable: LimitExceededException: Subscriber limit exceeded: …",
            "Delete what is not needed, or request an increase under Service Quotas. For a parameter's versions, \
             remove the label from the oldest: `aws ssm unlabel-parameter-version`.",
        ),
        Code::ServerFault => (
            "AWS returned a server error",
            "Each attempt failed with a server error, for almost a minute.",
            "error[E204]: reading the policies (ssm:GetParameters): InternalServerError",
            "Run the same command again; every step can be repeated. health.aws.amazon.com shows known problems.",
        ),
        Code::Rejected => (
            "AWS rejected the call",
            "The message has AWS's reason. A retry would not help.",
            "X Sessions table: dynamodb:UpdateTable: ValidationException: …",
            "In the manifest, change the setting that the message names. With -v, Sentinel shows every call.",
        ),
        Code::Busy => (
            "The resource is busy with another change",
            "Another change of the resource is in progress, and did not finish within the wait timeout.",
            "X Sessions table: dynamodb:UpdateTable: ResourceInUseException: …",
            "Wait until the table is ACTIVE, and run the same command again. --wait-timeout sets how long to wait.",
        ),
        Code::NoResource => (
            "A table or another resource does not exist",
            "The command needs a table, a policy, a key or a topic that does not exist in this region and account.",
            "error[E207]: there is no table sentinel-requests (the default name) in us-east-1",
            "Create it with the command in the hint, or use another: for a table, with --request-table, \
             --breakglass-table, --session-table, or `name` in the manifest. For `sentinel import`, the message names \
             the command that lists the resources. Check the region too.",
        ),
        Code::NoIndex => (
            "A table lacks an index",
            "The command reads a table through an index of the built-in layout. The table does not have the index, or \
             is still building it.",
            "error[E208]: the table sentinel-requests lacks an index of the Approvals layout: The table does not have \
             the specified index: status-index",
            "`sentinel plan` shows how the table differs, and `sentinel apply` creates the missing indexes.",
        ),
        Code::Unread => (
            "A resource could not be read",
            "Sentinel could not read a resource that the command needs, for a reason other than a missing permission \
             (see E201).",
            "error[E209]: the table audit cannot be read: dynamodb:DescribeTable: InternalServerError",
            "The message has AWS's reason. Run the same command again; with -v, Sentinel shows every call.",
        ),
        Code::NameNotFound => (
            "The address of the service was not found",
            "The name lookup failed: there is no network, the name server cannot resolve AWS's names, or the region \
             does not exist.",
            "error[E301]: checking the credentials (sts:GetCallerIdentity): the address of the service was not found \
             (Name or service not known)",
            "Check the name of the region first, then the network. Behind a proxy, set HTTPS_PROXY. In a closed \
             network, use interface endpoints (AWS_ENDPOINT_URL).",
        ),
        Code::NotConnected => (
            "Could not connect to the service",
            "The address was found, but nothing answered: a firewall blocks the connection, or the emulator is not \
             running.",
            "error[E302]: checking the credentials (sts:GetCallerIdentity): no connection to the service (Connection \
             refused (os error 111))",
            "Check --endpoint-url and AWS_ENDPOINT_URL if one is set, otherwise the firewall. Behind a proxy, set \
             HTTPS_PROXY.",
        ),
        Code::Certificate => (
            "The certificate of the server is not trusted",
            "A proxy probably intercepts the connection with its own certificate, which this machine does not trust.",
            "error[E303]: checking the credentials (sts:GetCallerIdentity): the certificate of the server is not \
             trusted (UnknownIssuer)",
            "Add the proxy's root certificate to the system's (`update-ca-certificates`), or set SSL_CERT_FILE to a \
             bundle that contains it.",
        ),
        Code::TimedOut => (
            "There was no answer in time",
            "If AWS has not answered at all in this run, Sentinel makes three attempts of 25 seconds each. Otherwise \
             it retries for 52 seconds.",
            "error[E304]: checking the credentials (sts:GetCallerIdentity): no answer in time",
            "Check the network, including a proxy or VPN, and run the same command again.",
        ),
        Code::Proxy => (
            "The proxy could not be used",
            "HTTPS_PROXY or HTTP_PROXY names a proxy that does not answer, or that refuses the connection.",
            "error[E305]: checking the credentials (sts:GetCallerIdentity): the proxy could not be used (Connection \
             refused (os error 111))",
            "Correct HTTPS_PROXY, or unset it. NO_PROXY lists addresses to connect to without the proxy.",
        ),
        Code::BadAnswer => (
            "The answer of the service could not be read",
            "The answer was truncated, is larger than any answer of AWS, or is from something else, such as a proxy's \
             login page.",
            "error[E306]: reading the policies (ssm:GetParameters): the answer of the service could not be read (…)",
            "Check --endpoint-url and AWS_ENDPOINT_URL if one is set, and the proxy. Run the same command again.",
        ),
        Code::WrongAccount => (
            "The credentials belong to another account",
            "The manifest, a target or a plan names its account, and the credentials belong to another one. Nothing \
             was changed.",
            "error[E401]: wrong account: the manifest is for 111111111111, but the credentials are for 222222222222 \
             (…)",
            "Use credentials of the intended account (--aws-profile, AWS_PROFILE), or correct account_id.",
        ),
        Code::Stale => (
            "The saved plan is stale",
            "Something that the plan is based on has changed since. Nothing was changed. The message lists the \
             changes.",
            "error[E402]: the saved plan is stale, and nothing was changed. Changes since it was made: …",
            "Make a new plan with `sentinel plan --out FILE`, and review it.",
        ),
        Code::UnusablePlan => (
            "The file is not a plan that can be applied",
            "It was made by another version of Sentinel, was changed after it was made, or is not a plan.",
            "error[E403]: p.json cannot be applied: it was changed after it was made",
            "Make a new plan with this version: `sentinel plan --out FILE`.",
        ),
        Code::Extent => (
            "The plan changes an unusually large share of the resources",
            "At least ten resources exist, and the plan changes or deletes more than 30% of them. Nothing was changed.",
            "error[E404]: this would change or delete 12 of 20 existing resources (60%); nothing was changed",
            "Review the plan. If the changes are intended, add --force.",
        ),
        Code::DuplicateTargets => (
            "Two targets are the same account and region",
            "Two targets with the same resources would work against each other.",
            "error[E405]: targets a and b are the same: account 123456789012, region us-east-1",
            "Give each its own region, profile or role_arn, or remove one.",
        ),
        Code::PlanMismatch => (
            "The saved plan does not match the current manifest",
            "A saved plan is untrusted input. `apply PLANFILE` reads the manifest that -f names, or else the one that \
             the plan names, which must be below the current folder. The plan's targets, regions, accounts, roles, AWS \
             profiles and policy root must match that manifest, and the plan must not delete a resource in the manifest.",
            "error[E406]: the plan is not for sentinel.toml: the role it assumes is \
             arn:aws:iam::222222222222:role/admin, the manifest's is none; nothing was changed",
            "Make a new plan from this manifest. Name another manifest with -f FILE, and repeat --region, \
             --policy-root or --aws-profile if you gave them to `plan`. Without a manifest, as in a CI job that only \
             applies, use --detached: Sentinel then uses the values in the plan.",
        ),
        Code::AccessDenied => (
            "A policy or a record denies the access",
            "The profile's policy denies the access, or the state of a request, event or session does not allow the \
             command.",
            "error[E501]: mallory gets no credentials for dev: rule \"rest\" denies the access",
            "The hint names what would allow the access: a request, a break-glass event, a credential server, or \
             another policy.",
        ),
        Code::NotStarted => (
            "The command could not be started",
            "Sentinel obtained the credentials, but the command does not exist or cannot be executed.",
            "error[E502]: trraform: there is no such command",
            "Correct the command after `--`.",
        ),
        Code::Broker => (
            "The request to the broker failed",
            "Nothing responds at the address of the broker, something other than a broker of this version responds, or \
             the broker cannot work, for example because it cannot write its log.",
            "error[E601]: the broker https://broker.example.com cannot be reached: dns error",
            "Check the address: --broker, SENTINEL_BROKER, or `url` of [broker] in the manifest. To trust a private \
             certificate authority, set SSL_CERT_FILE=FILE. `curl URL/readyz` shows whether the broker is ready, and \
             its log shows the reason if it is not.",
        ),
        Code::NoRecord => (
            "The record does not exist",
            "The table has no request, break-glass event or session with this ID.",
            "error[E503]: there is no request 0123456789abcdef in the table sentinel-requests (the default name)",
            "Check the ID with the list command in the hint, and the table and region with --request-table, \
             --breakglass-table, --session-table and --region.",
        ),
    };
    Entry { code: code.as_str(), title, means, example, fix }
}

/// Returns a hint, in one line.
pub(super) fn hint(code: Code) -> Option<&'static str> {
    let hint = match code {
        Code::NoCredentials => {
            "set credentials: --aws-profile NAME, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. To try \
             Sentinel without an account, add --local"
        }
        Code::Sso => "renew the session with: aws sso login",
        Code::Profile => "aws configure list-profiles lists the existing profiles",
        Code::CredentialProcess => "run the profile's credential_process in a terminal, and correct it",
        Code::InvalidCredentials => "the key was deleted, its secret is wrong, or the region must first be enabled",
        Code::ExpiredCredentials => {
            "get new ones: aws sso login, or assume the role again; keys in the environment override a profile"
        }
        Code::Clock => "set this machine's clock: AWS accepts a request only within minutes of its own time",
        Code::Role => "the calling credentials need sts:AssumeRole on the role, and its trust policy must allow them",
        Code::Denied => {
            "request the permission that the message names; sentinel iam --for apply prints all required permissions"
        }
        Code::Throttled => "run the same command again later; it continues where it stopped",
        Code::Quota => "delete what is not needed, or request an increase under Service Quotas",
        Code::ServerFault => "run the same command again; every step can be repeated",
        Code::Busy => "wait until it is ACTIVE and run the same command again",
        Code::NameNotFound => "check the region's name and the network; behind a proxy set HTTPS_PROXY",
        Code::NotConnected => "check --endpoint-url or AWS_ENDPOINT_URL if one is set, and the firewall",
        Code::Certificate => "add the proxy's root certificate to the system's, or name a bundle in SSL_CERT_FILE",
        Code::OutOfTime => "set a longer --timeout, or run the same command again: it continues where it stopped",
        Code::TimedOut => "check the network, and run the same command again",
        Code::Unwritable => "run the command without --json, and report this message",
        Code::Proxy => "correct HTTPS_PROXY, or unset it",
        Code::BadAnswer => "check --endpoint-url or AWS_ENDPOINT_URL if one is set, and the proxy",
        Code::Internal => "this is a bug: report it with the command and this message; -v shows the causes",
        Code::Local => "name another folder with --local=PATH; to start over, delete the emulator's folder",
        Code::NoUser => "use the credentials of an IAM user, or of a role",
        Code::Circular => {
            "an AWS profile's credential_process probably runs Sentinel, which runs it again: name another AWS profile \
             for Sentinel's own calls with --aws-profile; if you nest shells of sentinel exec on purpose, unset \
             SENTINEL_DEPTH in the inner one"
        }
        _ => return None,
    };
    Some(hint)
}
