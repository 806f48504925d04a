//! What each error means.

use super::Entry;
use crate::code::Code;

/// Returns what there is to say of an error.
pub(super) fn entry(code: Code) -> Entry {
    let (title, means, example, way_out) = match code {
        Code::Usage => (
            "Invalid arguments",
            "An option, an environment variable, a name or a combination of them is not valid. Sentinel has read and changed \
             nothing in AWS.",
            "sentinel plan --only tables.sesions\nerror[E001]: --only tables.sesions matches nothing in the manifest",
            "The message names the argument, and the hint says what is valid. `sentinel COMMAND --help` lists the options of a \
             command.",
        ),
        Code::File => (
            "A file could not be read or written",
            "The manifest, a policy, a saved plan or a file to write is not there, not readable, too large, or in the way: a \
             file that is there is not overwritten unless it is a saved plan and a newer one takes its place. Only regular \
             files are read and written, and nothing is written through a link. A manifest that was found, and not named, \
             is refused if it or its folder belongs to another user.",
            "error[E002]: sentinel.toml: there is no such manifest",
            "Correct the path, or its permissions. `sentinel init bootstrap --profile dev --write-manifest sentinel.toml` \
             starts a manifest. SENTINEL_SAFE_DIRECTORY=FOLDER allows the manifest of another user.",
        ),
        Code::Faults => (
            "The manifest, a policy or its cases have faults",
            "Every fault is shown with its line and what to write instead. Nothing was read from AWS.",
            "error: unknown key `ttl_atribute` in `tables.audit`\n  help: did you mean `ttl_attribute`?",
            "Correct each place that is marked; `sentinel validate` checks again without AWS. `sentinel schema` prints a \
             schema with which an editor marks them as you write.",
        ),
        Code::NoRegion => (
            "Nothing names a region",
            "Tables and parameters are of one region, and none is guessed.",
            "error[E004]: --region is required when provisioning DynamoDB tables",
            "Give --region, or set `region` under [aws] in the manifest, AWS_REGION, or `region` of the AWS profile.",
        ),
        Code::NotConfirmed => (
            "Nobody confirmed the changes",
            "Apply asks once before its first change. The answer was not yes, or there was no terminal to ask on; nothing \
             was changed.",
            "error[E005]: there is no terminal to ask on; nothing was changed",
            "Look at the plan, then add --yes. In a pipeline, `sentinel plan --out FILE` and `sentinel apply FILE --yes` do \
             what was reviewed and nothing else.",
        ),
        Code::Local => (
            "The embedded AWS could not be opened or served",
            "The folder behind --local cannot be used: it is not writable, it or something in it is a link, a database in it \
             is damaged or has parts that sentinel did not make, or another program has it.",
            "error[E006]: the embedded AWS: …",
            "Choose another folder with --local=PATH, or delete this one to begin anew. If it came with a checkout, look at \
             who put it there: a link in it would have had sentinel write to another file.",
        ),
        Code::NotExported => (
            "The manifest cannot be exported as it is",
            "The manifest describes something that CloudFormation or Terraform cannot do, or that does not fit a template. Each \
             resource and setting is named. Nothing was written.",
            "error[E012]: cloudformation cannot do all of the manifest; nothing was written: parameters.db-password: \
             CloudFormation creates no SecureString",
            "Change the manifest, or leave the resource to sentinel with --exclude. --allow-gaps writes the rest, and lists what is left \
             out.",
        ),
        Code::Interrupted => (
            "The run was interrupted",
            "Ctrl-C ends a run after the calls under way, and so does SIGTERM, by which jobs are cancelled, once changes are made. What was done stays done.",
            "error[E007]: interrupted before anything was changed",
            "Run the same command again: it goes on where it was.",
        ),
        Code::OutOfTime => (
            "The time that the run was given was up",
            "--timeout ends a run: no call is begun after it. What was done stays done.",
            "error[E008]: the time that --timeout gives was up before anything was changed",
            "Give it more time, or run the same command again: it goes on where it was. With -v the end of a run says what it \
             waited for.",
        ),
        Code::Unwritable => (
            "A result could not be written as JSON",
            "A part of the result has no form in JSON. Sentinel writes no document rather than one that lacks a part. What was \
             changed before stays changed.",
            "error[E009]: the result cannot be written as JSON: …",
            "Run the command without --json, and report the message: no value that AWS or a file can hold should do this.",
        ),
        Code::Internal => (
            "A bug in sentinel",
            "Something happened that sentinel takes for impossible. The exit code is 1, as for other errors; where changes had \
             begun, what was done stays done.",
            "error[E010]: internal error: the completions could not be written: …",
            "Report it, with the command and the whole message; -v shows what the error comes from. Running the same command \
             again is safe.",
        ),
        Code::System => (
            "The operating system refused something",
            "Sentinel could not start a process, listen on a local port, use the terminal, get random numbers or turn core dumps \
             off. The message says which, and what the system answered.",
            "error[E011]: the credential server cannot listen on 127.0.0.1: Address not available (os error 99)",
            "Correct what the message names: limits on processes and open files (`ulimit -a`), the loopback interface, or a \
             sandbox that forbids the call.",
        ),
        Code::NoCredentials => (
            "No credentials were found",
            "None of the places that the AWS tools look in has any: the environment, the AWS profile, a web identity, a \
             container, an instance.",
            "error[E101]: checking the credentials (sts:GetCallerIdentity): no credentials were found: …",
            "Name an AWS profile with --aws-profile or AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. To \
             try without an account, add --local.",
        ),
        Code::Sso => (
            "There is no valid SSO session",
            "The AWS profile takes its credentials from IAM Identity Center, whose session is over or was never begun.",
            "error[E102]: the AWS profile admin gives no credentials: the SSO session has expired",
            "Run `aws sso login --profile NAME`, then the same command again.",
        ),
        Code::Profile => (
            "There is no such AWS profile, or it cannot be used",
            "~/.aws/config and ~/.aws/credentials (or the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name) \
             have no profile of this name, or one that leads to a profile that is not there.",
            "error[E103]: the AWS profile prdo gives no credentials: …",
            "`aws configure list-profiles` shows those that are there. Correct --aws-profile, AWS_PROFILE, or `profile` \
             under [aws] in the manifest.",
        ),
        Code::CredentialProcess => (
            "A credential process failed",
            "The AWS profile takes its credentials from a command, and that ended with an error or printed something else.",
            "error[E104]: the AWS profile build gives no credentials: the credential process exited with code exit status: 1.",
            "Run the command of `credential_process` by hand and put it in order.",
        ),
        Code::InvalidCredentials => (
            "AWS does not know the credentials",
            "The access key was deleted, or its secret is another, or the region is one that the account has to enable first.",
            "error[E105]: checking the credentials (sts:GetCallerIdentity): InvalidClientTokenId: The security token included in the request is invalid.",
            "`aws sts get-caller-identity` with the same profile shows the same. Renew the key, or enable the region under \
             Account in the console.",
        ),
        Code::ExpiredCredentials => (
            "The temporary credentials have expired",
            "Credentials of a role or a session last minutes to hours, and these are over.",
            "error[E106]: checking the credentials (sts:GetCallerIdentity): ExpiredToken: The security token included in the request is expired",
            "Get new ones: `aws sso login --profile NAME`, or assume the role again. Keys exported to the shell hide a \
             profile's: unset AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.",
        ),
        Code::Clock => (
            "The machine's clock is wrong",
            "AWS takes a signed request only within some minutes of its own time.",
            "error[E107]: checking the credentials (sts:GetCallerIdentity): SignatureDoesNotMatch: Signature expired: …",
            "Set the clock (`timedatectl` shows whether it is synchronised); a virtual machine or container that slept is \
             often behind.",
        ),
        Code::Role => (
            "A role could not be taken on",
            "Both sides have to agree: the credentials at hand need sts:AssumeRole on the role, and the role's trust policy \
             has to let them.",
            "error[E108]: the role arn:aws:iam::123456789012:role/sentinel gives no credentials: …",
            "Check the ARN, the trust policy of the role, and whether it wants an external id or an MFA code.",
        ),
        Code::Circular => (
            "An AWS profile and sentinel ask each other for credentials",
            "The AWS profile that sentinel uses for its own calls has a `credential_process` that runs sentinel. Sentinel would \
             start itself without end, and stops when too many runs are nested.",
            "error[E109]: the AWS profile dev gets its credentials from sentinel, and cannot be the one that asks it",
            "Name another AWS profile for sentinel's own calls with --aws-profile. In a shell that was nested on purpose, unset \
             SENTINEL_DEPTH.",
        ),
        Code::SharedFiles => (
            "The shared AWS files cannot be read",
            "~/.aws/config or ~/.aws/credentials (or a file that AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE names) cannot be \
             opened, or has a line that is not valid.",
            "error[E110]: the shared AWS files cannot be read: could not parse profile file: error parsing /home/alice/.aws/config \
             on line 3: …",
            "Correct the line that the message names. `aws configure list-profiles` reads the same files.",
        ),
        Code::Mfa => (
            "The code of an MFA device is needed",
            "The AWS profile has `mfa_serial`, and its role is assumed only with the code that the device shows.",
            "error[E111]: the AWS profile prod takes a code from the MFA device arn:aws:iam::123456789012:mfa/alice",
            "Give the code with --mfa-code CODE, or run the command in a terminal, where sentinel asks for it. A code is accepted \
             once.",
        ),
        Code::RootUser => (
            "The credentials are those of an account's root user",
            "Sentinel never releases credentials of a root user: no policy limits them.",
            "error[E112]: the credentials of the AWS profile root are those of an account's root user, which are never released",
            "Use the credentials of an IAM user or of a role that has the permissions for the task.",
        ),
        Code::PermanentKeys => (
            "The keys never expire and cannot be exchanged for temporary ones",
            "Sentinel releases temporary credentials only. It exchanges an IAM user's keys with sts:GetSessionToken, and AWS \
             refused that.",
            "error[E113]: the keys of the AWS profile ci never expire, and STS does not exchange them for temporary ones: …",
            "Give the AWS profile a role_arn that is assumed with these keys, or use IAM Identity Center.",
        ),
        Code::NoUser => (
            "The credentials are not those of a user",
            "Records and decisions carry a user's name. An IAM user, a role's session and a federated user have one; an account's \
             root user has none.",
            "error[E114]: arn:aws:iam::123456789012:root is neither an IAM user nor a role's session, and so has no user's name",
            "Use the credentials of an IAM user, or of a role.",
        ),
        Code::Denied => (
            "A permission is missing",
            "AWS knows who asks and does not let them. What could not be read is shown as unknown and the rest goes on; what \
             could not be written failed, and the rest went on.",
            "? Approvals table: sentinel-requests (unknown; …)\n      no permission for dynamodb:DescribeTable",
            "Ask for the action that the message names. `sentinel iam --for plan` and `sentinel iam --for apply` print \
             policies with all that the manifest takes, on exact ARNs; `--for requester`, `approver`, `operator` and `server` \
             those of who uses it.",
        ),
        Code::Throttled => (
            "AWS asked to slow down for too long",
            "Sentinel keeps to AWS's quotas and tries again for 15 minutes; somebody else most likely uses up the quota of the \
             account.",
            "error[E202]: ssm:PutParameter: ThrottlingException: Rate exceeded",
            "Run the same command again later: it goes on where it was. Parameter Store's higher throughput can be turned on \
             in its settings.",
        ),
        Code::Quota => (
            "A quota of the account or the resource is reached",
            "AWS takes no more of these: 10,000 standard parameters or 2,500 tables in a region, 20 indexes on a table, 100 \
             versions of a parameter whose oldest has a label.",
            "X Sessions table: dynamodb:CreateTable: LimitExceededException: Subscriber limit exceeded: …",
            "Remove what is not needed, or ask for more under Service Quotas. For a parameter's versions, move the label from \
             the oldest: `aws ssm unlabel-parameter-version`.",
        ),
        Code::ServerFault => (
            "AWS failed on its side",
            "AWS answered with an error of its own for almost a minute.",
            "error[E204]: reading the policies (ssm:GetParameters): InternalServerError",
            "Run the same command again; every step can be repeated. health.aws.amazon.com shows what AWS knows of.",
        ),
        Code::Rejected => (
            "AWS refused the call as it was",
            "AWS said why in the message; calling again would not help.",
            "X Sessions table: dynamodb:UpdateTable: ValidationException: …",
            "Change what the message speaks of in the manifest. With -v every call is shown as it is made.",
        ),
        Code::Busy => (
            "The resource is busy with another change",
            "Somebody else's change, or an earlier one, is under way and did not end within the time given.",
            "X Sessions table: dynamodb:UpdateTable: ResourceInUseException: …",
            "Wait until the table is ACTIVE and run the same command again; --wait-timeout gives it longer.",
        ),
        Code::NoResource => (
            "A table or another resource is not there",
            "The command works on a table, a policy, a key or a topic that does not exist in this region and account.",
            "error[E207]: there is no table sentinel-requests (the default name) in us-east-1",
            "Create it with the command in the hint, or name another table: --request-table, --breakglass-table or \
             --session-table, or `name` in the manifest. `sentinel import` names the command that lists what there is. Check the \
             region too.",
        ),
        Code::NoIndex => (
            "A table lacks an index",
            "The command reads a table by one of the indexes of the built-in layout, and the table does not have it, or is still \
             building it.",
            "error[E208]: the table sentinel-requests lacks an index of the Approvals layout: The table does not have the \
             specified index: gsi-status",
            "`sentinel plan` shows how the table differs, and `sentinel apply` builds what is missing.",
        ),
        Code::Unread => (
            "A resource could not be read",
            "AWS failed for another reason than a missing permission while sentinel read a resource that the command needs.",
            "error[E209]: the table audit cannot be read: dynamodb:DescribeTable: InternalServerError",
            "The message has AWS's own words. Run the same command again; with -v every call is shown as it is made.",
        ),
        Code::NameNotFound => (
            "The address of the service was not found",
            "Its name could not be looked up: there is no network, the name server does not know AWS, or there is no such \
             region.",
            "error[E301]: checking the credentials (sts:GetCallerIdentity): the address of the service was not found (Name or service not known)",
            "Check the name of the region first, then the network. Behind a proxy set HTTPS_PROXY; in a closed network AWS is \
             reached through interface endpoints (AWS_ENDPOINT_URL).",
        ),
        Code::NotConnected => (
            "The service could not be connected to",
            "The address was found, and nothing answered there: a firewall is in between, or the emulator is not running.",
            "error[E302]: checking the credentials (sts:GetCallerIdentity): no connection to the service (Connection refused (os error 111))",
            "Check --endpoint-url and AWS_ENDPOINT_URL, if one is set; else the firewall. Behind a proxy set HTTPS_PROXY.",
        ),
        Code::Certificate => (
            "The certificate of the server is not trusted",
            "Most often a proxy opens the connection and shows a certificate of its own, which this machine does not know.",
            "error[E303]: checking the credentials (sts:GetCallerIdentity): the certificate of the server is not trusted (UnknownIssuer)",
            "Put the proxy's root certificate among the system's (`update-ca-certificates`), or name a bundle with it in \
             SSL_CERT_FILE.",
        ),
        Code::TimedOut => (
            "There was no answer in time",
            "The connection stood, or was tried, and nothing came back for 25 seconds, three times over.",
            "error[E304]: checking the credentials (sts:GetCallerIdentity): no answer in time",
            "Check the network, and a proxy or VPN on the way, and run the same command again.",
        ),
        Code::Proxy => (
            "The proxy could not be used",
            "HTTPS_PROXY or HTTP_PROXY names a proxy that does not answer, or does not let the connection through.",
            "error[E305]: checking the credentials (sts:GetCallerIdentity): the proxy could not be used (Connection refused (os error 111))",
            "Correct HTTPS_PROXY, or unset it; NO_PROXY lists what is reached without it.",
        ),
        Code::BadAnswer => (
            "The answer of the service could not be read",
            "Something answered, and not as the service does: the answer was cut off, is larger than any of AWS's, or comes from \
             something else, such as a proxy's login page.",
            "error[E306]: reading the policies (ssm:GetParameters): the answer of the service could not be read (…)",
            "Check --endpoint-url and AWS_ENDPOINT_URL, if one is set, and a proxy on the way. Run the same command again.",
        ),
        Code::WrongAccount => (
            "The credentials are of another account",
            "The manifest, a target or a plan says which account it is for, and the credentials are of another one. Nothing was \
             changed.",
            "error[E401]: wrong account: the manifest is for 111111111111, the credentials are for 222222222222 (…)",
            "Use credentials of the account that is meant (--aws-profile, AWS_PROFILE), or correct account_id.",
        ),
        Code::Stale => (
            "The plan no longer holds",
            "What a saved plan was made on has changed since; nothing was changed. The message says what.",
            "error[E402]: the plan no longer holds, and nothing was changed. Since it was made: …",
            "Make the plan again with `sentinel plan --out FILE`, and look at it again.",
        ),
        Code::UnusablePlan => (
            "The file is no plan that could be carried out",
            "It was made by another version of sentinel, changed after it was made, or is no plan at all.",
            "error[E403]: p.json cannot be carried out: it was changed after it was made",
            "Make the plan again with this version: `sentinel plan --out FILE`.",
        ),
        Code::Extent => (
            "More would change than is likely to be meant",
            "From ten existing resources on, more than 30% of them would be changed or deleted; nothing was changed.",
            "error[E404]: this would change or delete 12 of 20 existing resources (60%); nothing was changed",
            "Look at the plan. If that is what is wanted, add --force.",
        ),
        Code::Twins => (
            "Two targets are the same account and region",
            "Two passes over the same resources would work against each other.",
            "error[E405]: targets a and b are the same: account 123456789012, region us-east-1",
            "Give each its own region, profile or role_arn, or take one out.",
        ),
        Code::Foreign => (
            "A saved plan is for something else than the manifest at hand",
            "A saved plan is untrusted input. `apply PLANFILE` reads the manifest that the plan names, if it is below the current \
             folder, or the one that -f names. The plan's targets, regions, accounts, roles, AWS profiles and policy root must be \
             those of that manifest, and it must not delete what the manifest names.",
            "error[E406]: the plan is not for sentinel.toml: the role it assumes is arn:aws:iam::222222222222:role/admin, the \
             manifest's is none; nothing was changed",
            "Make the plan again from this manifest. Name another manifest with -f FILE, and repeat --region, --policy-root or \
             --aws-profile if the plan was made with them. Where there is no manifest, as in a CI job that only applies, use \
             --detached: the values in the plan count then.",
        ),
        Code::AccessDenied => (
            "A policy says no, or a record does",
            "The profile's policy does not let the user in, or a request, event or session is in a state in which what was \
             asked cannot be.",
            "error[E501]: mallory gets no credentials of dev: rule \"rest\" denies it",
            "The hint names what opens the gate: a request, a break-glass event, a credential server, or another policy.",
        ),
        Code::NotStarted => (
            "The command to run could not be started",
            "The credentials were there, and the command was not found or may not be run.",
            "error[E502]: trraform: there is no such command",
            "Correct the command after `--`.",
        ),
        Code::Broker => (
            "The broker could not be asked",
            "Nothing answers at the address of the broker, what answers is no broker or one of another version, or the broker \
             cannot do its work: it cannot write its log, for one.",
            "error[E601]: the broker https://broker.example.com cannot be asked: dns error",
            "Check the address: --broker, SENTINEL_BROKER, or `url` of [broker] in the manifest. A private certificate authority is \
             trusted by SSL_CERT_FILE=FILE. `curl URL/readyz` says whether the broker is ready; its log says why it is not.",
        ),
        Code::NoRecord => (
            "There is no such record",
            "No request, break-glass event or session has this ID in the table that was read.",
            "error[E503]: there is no request 0123456789abcdef in the table sentinel-requests (the default name)",
            "Check the ID with the list command that the hint names, and the table and region with --request-table, \
             --breakglass-table, --session-table and --region.",
        ),
    };
    Entry { code: code.as_str(), title, means, example, way_out }
}

/// Returns what helps, in a line.
pub(super) fn hint(code: Code) -> Option<&'static str> {
    let hint = match code {
        Code::NoCredentials => {
            "give credentials: --aws-profile NAME, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. To try without \
             an account, add --local"
        }
        Code::Sso => "renew the session with: aws sso login",
        Code::Profile => "aws configure list-profiles shows the profiles that are there",
        Code::CredentialProcess => "run the profile's credential_process by hand and put it in order",
        Code::InvalidCredentials => "the key was deleted, its secret is another, or the region has to be enabled first",
        Code::ExpiredCredentials => {
            "get new ones: aws sso login, or assume the role again; keys in the environment hide a profile's"
        }
        Code::Clock => "set this machine's clock: AWS takes a request only within minutes of its own time",
        Code::Role => "the credentials at hand need sts:AssumeRole on the role, and its trust policy has to let them",
        Code::Denied => "ask for the permission that is named; sentinel iam --for apply prints all that is needed",
        Code::Throttled => "run the same command again later; it goes on where it was",
        Code::Quota => "remove what is not needed, or ask for more under Service Quotas",
        Code::ServerFault => "run the same command again; every step can be repeated",
        Code::Busy => "wait until it is ACTIVE and run the same command again",
        Code::NameNotFound => "check the region's name and the network; behind a proxy set HTTPS_PROXY",
        Code::NotConnected => "check --endpoint-url or AWS_ENDPOINT_URL if one is set, and the firewall",
        Code::Certificate => "put the proxy's root certificate among the system's, or name a bundle in SSL_CERT_FILE",
        Code::OutOfTime => "give it more time, or run the same command again: it goes on where it was",
        Code::TimedOut => "check the network, and run the same command again",
        Code::Unwritable => "run the command without --json, and report this message",
        Code::Proxy => "correct HTTPS_PROXY, or unset it",
        Code::BadAnswer => "check --endpoint-url or AWS_ENDPOINT_URL if one is set, and a proxy on the way",
        Code::Internal => {
            "this is a bug: report it with the command and this message; -v shows what the error comes from"
        }
        Code::Local => "choose another folder with --local=PATH, or delete this one to begin anew",
        Code::NoUser => "use the credentials of an IAM user, or of a role",
        Code::Circular => {
            "an AWS profile's credential_process most likely runs sentinel, which runs it again: name the AWS profile that asks \
             with --aws-profile; in a shell that was nested on purpose, unset SENTINEL_DEPTH"
        }
        _ => return None,
    };
    Some(hint)
}
