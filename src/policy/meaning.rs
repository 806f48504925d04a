//! Describes what a policy change means for access. Pure and exact; reports nothing where it is uncertain.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::times::{covers_week, when};
use super::week::{Piece, UserClass, Zones, applies_to, overlapping, pieces, user_classes, zone};
use super::{Bound, BreakglassLimits, Effect, Mode, Policy, Rule, Window};

/// One effect of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meaning {
    pub direction: Direction,
    /// The sentence, such as "bob loses prod". Names in it are as written in the policy.
    #[serde(rename = "words")]
    pub text: String,
}

/// Whether access increases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Access increases or becomes easier.
    Opens,
    /// Access decreases or becomes harder.
    Closes,
    /// Neither: for example, sessions are recorded in another table, or hours move.
    Moves,
    /// The change has no effect.
    Same,
}

/// The result of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome<'p> {
    Deny,
    /// Whether a break-glass event counts as the approval.
    Approval {
        breakglass: bool,
    },
    /// The table that records sessions, if the policy names one.
    Session(Option<&'p str>),
    Server,
    Allow,
}

impl<'p> Outcome<'p> {
    fn of(rule: &'p Rule) -> Self {
        match rule.effect {
            Effect::Deny => Self::Deny,
            Effect::RequireApproval => Self::Approval { breakglass: rule.breakglass },
            Effect::RequireServerSession => Self::Session(rule.session_table.as_deref()),
            Effect::RequireServer => Self::Server,
            Effect::Allow => Self::Allow,
        }
    }

    /// Returns the condition of access, to follow "gains prod".
    fn condition(self) -> &'static str {
        match self {
            Self::Deny | Self::Allow => "",
            Self::Approval { breakglass: true } => " with approval",
            Self::Approval { breakglass: false } => " with approval, without break-glass",
            Self::Session(_) => " through a credential server that records sessions",
            Self::Server => " through a credential server",
        }
    }

    /// Returns the condition of access, as a noun.
    fn requirement(self) -> &'static str {
        match self {
            Self::Deny | Self::Allow => "nothing more",
            Self::Approval { .. } => "approval",
            Self::Session(_) => "a credential server that records sessions",
            Self::Server => "a credential server",
        }
    }
}

/// A time of the week at which the answer changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct AnswerChange<'p> {
    before: Outcome<'p>,
    after: Outcome<'p>,
    pieces: Vec<Piece>,
}

/// The changes for one class of users over the week.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Change<'p> {
    turns: Vec<AnswerChange<'p>>,
    /// The times of access after the change, if all of them have the same condition.
    hours: Option<(Outcome<'p>, Vec<Piece>)>,
    /// Whether there was access before the change, and is after it.
    in_before: bool,
    in_after: bool,
    zone: Option<String>,
}

/// Returns the effects of a change of a profile's policy. A policy that is missing or unreadable denies all access.
pub fn meaning(profile: &str, before: Option<&Policy>, after: Option<&Policy>) -> Vec<Meaning> {
    compare(profile, before, after).0
}

/// Whether a comparison covers every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exactness {
    Exact,
    /// Windows in several time zones, or overlapping patterns of principals, are not compared completely.
    Partial,
}

/// Returns the same, and whether the comparison covers every request.
pub fn compare(profile: &str, before: Option<&Policy>, after: Option<&Policy>) -> (Vec<Meaning>, Exactness) {
    let sides = [before, after];
    let user_classes = user_classes(sides.into_iter().flatten());
    let by_mode =
        sides.into_iter().flatten().flat_map(|policy| &policy.rules).any(|one| !one.conditions.modes.is_empty());
    let modes = if by_mode { Mode::ALL } else { &Mode::ALL[..1] };
    let [was, is] = sides.map(|side| side.map(|policy| &policy.rules));
    // A user that matches two patterns is in no class and may get other answers.
    let overlap = was != is && overlapping(sides.into_iter().flatten());
    let mut sure = !overlap;
    // Groups the classes by change and modes.
    let mut groups: BTreeMap<(Change<'_>, Vec<usize>), Vec<UserClass<'_>>> = BTreeMap::new();
    for class in &user_classes {
        let mut own: BTreeMap<Change<'_>, Vec<usize>> = BTreeMap::new();
        for (index, mode) in modes.iter().enumerate() {
            match change(profile, *class, *mode, before, after) {
                Some(change) if !change.turns.is_empty() => own.entry(change).or_default().push(index),
                Some(_) => {}
                None => sure = false,
            }
        }
        for entry in own {
            groups.entry(entry).or_default().push(*class);
        }
    }
    let mut meanings = Vec::new();
    for ((change, by), who) in &groups {
        let by: &[usize] = if by.len() == modes.len() { &[] } else { by };
        let by: Vec<&str> = by.iter().map(|index| modes[*index].word()).collect();
        let subject = Subject { who, all: &user_classes };
        describe(&mut meanings, profile, &subject, change, &by);
    }
    if overlap {
        let text = String::from("principals are compared as text, without callers that match several of them");
        meanings.push(Meaning { direction: Direction::Moves, text });
    }
    meanings.extend(released(profile, before, after));
    meanings.extend(limits(profile, before, after));
    if sure && meanings.is_empty() {
        let text = String::from("access does not change");
        meanings.push(Meaning { direction: Direction::Same, text });
    }
    // Increases come first, because a reviewer must not miss them.
    meanings.sort_by_key(|one| match one.direction {
        Direction::Opens => 0,
        Direction::Closes => 1,
        Direction::Moves => 2,
        Direction::Same => 3,
    });
    (meanings, if sure { Exactness::Exact } else { Exactness::Partial })
}

/// Returns the effects of a change of the break-glass limits, if a rule accepts break-glass. A missing policy has the default limits.
fn limits(profile: &str, before: Option<&Policy>, after: Option<&Policy>) -> Option<Meaning> {
    let opens = |rule: &&Rule| {
        let profiles = &rule.conditions.profiles;
        let own = profiles.is_empty() || profiles.iter().any(|one| one == profile);
        own && matches!(Outcome::of(rule), Outcome::Approval { breakglass: true })
    };
    after?.rules.iter().find(opens)?;
    let [was, is] = [before, after].map(|policy| policy.map(|policy| policy.breakglass_limits).unwrap_or_default());
    if was == is {
        return None;
    }
    let direction = match (is.events.cmp(&was.events), is.hours.cmp(&was.hours)) {
        (Ordering::Less, Ordering::Greater) | (Ordering::Greater, Ordering::Less) => Direction::Moves,
        (Ordering::Greater, _) | (_, Ordering::Greater) => Direction::Opens,
        _ => Direction::Closes,
    };
    let describe = |limits: BreakglassLimits| {
        let plural = |count: u32| if count == 1 { "" } else { "s" };
        let BreakglassLimits { events, hours } = limits;
        format!("{events} event{} and {hours} hour{} a day", plural(events), plural(hours))
    };
    let text = format!("break-glass of each user for {profile} is limited to {}, was {}", describe(is), describe(was));
    Some(Meaning { direction, text })
}

/// Returns the effects on the released credentials; a missing policy releases none.
fn released(profile: &str, before: Option<&Policy>, after: Option<&Policy>) -> Vec<Meaning> {
    let Some((before, after)) = before.zip(after) else { return Vec::new() };
    let of = |policy: &Policy| policy.credentials.clone().unwrap_or_default();
    let (before, after) = (of(before), of(after));
    let texts = |bound: &Bound| -> [Vec<String>; 2] {
        let roles = bound.role_arns.iter().map(|one| one.as_str().to_owned()).collect();
        [roles, bound.aws_profiles.clone()]
    };
    let pairs = ["role", "AWS profile"].into_iter().zip(texts(&before).into_iter().zip(texts(&after)));
    let changes = pairs.filter_map(|(what, (before, after))| {
        let within = |one: &[String], other: &[String]| {
            other.is_empty() || (!one.is_empty() && one.iter().all(|name| other.contains(name)))
        };
        let direction = match (within(&before, &after), within(&after, &before)) {
            (true, true) => return None,
            (true, false) => Direction::Opens,
            (false, true) => Direction::Closes,
            (false, false) => Direction::Moves,
        };
        let text = match after.as_slice() {
            [] => format!("{profile} now allows credentials of any {what}"),
            names => format!("{profile} now allows only credentials of the {what} {}", names.join(" or ")),
        };
        Some(Meaning { direction, text })
    });
    changes.collect()
}

/// Returns a policy's answers for a class in order: the window and the answer of each rule, up to the first that always applies.
pub(super) fn schedule<'p>(
    policy: Option<&'p Policy>,
    profile: &str,
    class: UserClass<'_>,
    mode: Mode,
) -> Vec<(Option<&'p Window>, Outcome<'p>)> {
    let rules = policy.into_iter().flat_map(|policy| &policy.rules);
    let mut schedule = Vec::new();
    for rule in rules.filter(|rule| applies_to(rule, class, Some(profile), mode)) {
        schedule.push((rule.conditions.time.as_ref(), Outcome::of(rule)));
        if rule.conditions.time.is_none() {
            return schedule;
        }
    }
    schedule.push((None, Outcome::Deny));
    schedule
}

/// Returns the answer for a piece of the week.
pub(super) fn outcome_at<'p>(schedule: &[(Option<&'p Window>, Outcome<'p>)], piece: Piece) -> Outcome<'p> {
    let open = |(window, _): &&(Option<&'p Window>, Outcome<'p>)| window.is_none_or(|window| piece.in_window(window));
    schedule.iter().find(open).map_or(Outcome::Deny, |(_, outcome)| *outcome)
}

/// Returns the changes for a class; `None` if they are uncertain.
fn change<'p>(
    profile: &str,
    class: UserClass<'_>,
    mode: Mode,
    before: Option<&'p Policy>,
    after: Option<&'p Policy>,
) -> Option<Change<'p>> {
    let [before, after] = [before, after].map(|policy| schedule(policy, profile, class, mode));
    let none = Change { turns: Vec::new(), hours: None, in_before: false, in_after: false, zone: None };
    if before == after {
        return Some(none);
    }
    let windows = || before.iter().chain(&after).filter_map(|(window, _)| *window);
    let zone = match zone(windows()) {
        Zones::Several => return None,
        Zones::One(zone) => Some(zone.iana_name().unwrap_or("UTC").to_owned()),
        Zones::None => None,
    };
    let pieces = pieces(windows());
    let week: Vec<(Piece, Outcome<'p>, Outcome<'p>)> =
        pieces.iter().map(|piece| (*piece, outcome_at(&before, *piece), outcome_at(&after, *piece))).collect();
    let mut turns: BTreeMap<(Outcome<'p>, Outcome<'p>), Vec<Piece>> = BTreeMap::new();
    for (piece, was, is) in week.iter().filter(|(_, was, is)| was != is) {
        turns.entry((*was, *is)).or_default().push(*piece);
    }
    let mut open = week.iter().filter(|(_, _, is)| *is != Outcome::Deny);
    let outcome = open.clone().next().map(|(_, _, outcome)| *outcome);
    let common = outcome.filter(|outcome| open.all(|(_, _, is)| is == outcome));
    let hours =
        common.map(|outcome| (outcome, week.iter().filter(|(_, _, is)| *is == outcome).map(|one| one.0).collect()));
    Some(Change {
        turns: turns.into_iter().map(|((before, after), pieces)| AnswerChange { before, after, pieces }).collect(),
        hours,
        in_before: week.iter().any(|(_, was, _)| *was != Outcome::Deny),
        in_after: week.iter().any(|(_, _, is)| *is != Outcome::Deny),
        zone,
    })
}

/// The subject of a sentence.
pub(super) struct Name {
    pub(super) text: String,
    pub(super) number: Number,
}

/// The grammatical number of a verb.
pub(super) enum Number {
    One,
    Many,
}

/// The classes that a sentence is about.
pub(super) struct Subject<'a> {
    pub(super) who: &'a [UserClass<'a>],
    /// All classes.
    pub(super) all: &'a [UserClass<'a>],
}

impl Subject<'_> {
    fn is_everyone(&self) -> bool {
        self.who.len() == self.all.len()
    }

    fn has_others(&self) -> bool {
        self.who.contains(&UserClass { user: None, principal: None })
    }

    /// Returns the names of some classes: only the user if all of the user's classes are included, only the pattern if all of its classes
    /// are.
    fn names(&self, some: &[UserClass<'_>]) -> Vec<String> {
        let whole =
            |of: &dyn Fn(&UserClass<'_>) -> bool| self.all.iter().filter(|one| of(one)).all(|one| some.contains(one));
        let mut names = Vec::new();
        for one in some {
            let user = one.user.filter(|_| whole(&|other| other.user == one.user));
            let pattern = one.principal.filter(|_| whole(&|other| other.principal == one.principal));
            let name = match (user, pattern, one.user, one.principal) {
                (Some(user), ..) => user.to_owned(),
                (_, Some(pattern), ..) | (_, _, None, Some(pattern)) => pattern.as_str().to_owned(),
                (_, _, Some(user), Some(pattern)) => format!("{user} as {}", pattern.as_str()),
                (_, _, Some(user), None) => format!("{user} under another ARN"),
                (_, _, None, None) => String::from("others"),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns the subject.
    pub(super) fn name(&self) -> Name {
        if self.is_everyone() {
            return Name { text: String::from("everyone"), number: Number::One };
        }
        let list = |names: &[String]| {
            const SHOWN: usize = 5;
            match names {
                [] => String::from("nobody"),
                [one] => one.clone(),
                [head @ .., last] if names.len() <= SHOWN => format!("{} and {last}", head.join(", ")),
                names => format!("{} and {} more", names[..SHOWN].join(", "), names.len() - SHOWN),
            }
        };
        if self.has_others() {
            let without: Vec<UserClass<'_>> = self.all.iter().filter(|one| !self.who.contains(one)).copied().collect();
            let text = format!("everyone but {}", list(&self.names(&without)));
            return Name { text, number: Number::One };
        }
        let names = self.names(self.who);
        let number = if names.len() == 1 { Number::One } else { Number::Many };
        Name { text: list(&names), number }
    }

    /// Returns the phrase that follows the profile; empty for everyone.
    fn audience(&self) -> String {
        if self.is_everyone() { String::new() } else { format!(" for {}", self.name().text) }
    }
}

/// Writes the sentences for a change.
fn describe(meanings: &mut Vec<Meaning>, profile: &str, subject: &Subject<'_>, change: &Change<'_>, by: &[&str]) {
    let by = if by.is_empty() { String::new() } else { format!(" (mode {})", by.join(", ")) };
    let mut push = |direction, text: String| meanings.push(Meaning { direction, text: format!("{text}{by}") });
    let Name { text: name, number } = subject.name();
    let verb = |singular: &'static str| match number {
        Number::One => singular,
        Number::Many => singular.trim_end_matches('s'),
    };
    let only_in_and_out = change.turns.iter().all(|turn| turn.before == Outcome::Deny || turn.after == Outcome::Deny);
    if let (true, true, true, Some((outcome, hours))) =
        (change.in_before, change.in_after, only_in_and_out, &change.hours)
    {
        let gained = change.turns.iter().any(|turn| turn.before == Outcome::Deny);
        let lost = change.turns.iter().any(|turn| turn.after == Outcome::Deny);
        // This does not apply if there is another form of access at other times.
        if change.turns.iter().all(|turn| turn.before.max(turn.after) == *outcome) {
            let (direction, how) = match (gained, lost) {
                (true, false) => (Direction::Opens, "widen"),
                (false, true) => (Direction::Closes, "narrow"),
                _ => (Direction::Moves, "move"),
            };
            let hours = when(hours, change.zone.as_deref());
            let hours = if hours.is_empty() { String::from(" any time") } else { hours };
            push(direction, format!("the hours of {profile}{} {how} to{hours}", subject.audience()));
            return;
        }
    }
    for turn in &change.turns {
        let when = when(&turn.pieces, change.zone.as_deref());
        let direction = if turn.after > turn.before { Direction::Opens } else { Direction::Closes };
        let (before, after) = (turn.before, turn.after);
        match (before, after) {
            (Outcome::Deny, after) => {
                push(direction, format!("{name} {} {profile}{}{when}", verb("gains"), after.condition()));
            }
            (_, Outcome::Deny) => push(direction, format!("{name} {} {profile}{when}", verb("loses"))),
            (Outcome::Approval { .. }, Outcome::Approval { breakglass }) => {
                let verb = if breakglass { "now opens" } else { "no longer opens" };
                push(direction, format!("break-glass {verb} {profile}{}{when}", subject.audience()));
            }
            (Outcome::Session(_), Outcome::Session(table)) => {
                let table = table.map_or_else(|| String::from("the table the server names"), str::to_owned);
                let whom = subject.audience();
                push(Direction::Moves, format!("sessions of {profile}{whom} are now recorded in {table}{when}"));
            }
            (before, Outcome::Allow) => {
                let (requirement, whom) = (before.requirement(), subject.audience());
                push(direction, format!("{profile} no longer needs {requirement}{whom}{when}"));
            }
            (before, after) => {
                let instead = match before {
                    Outcome::Allow => String::new(),
                    _ => format!(" instead of {}", before.requirement()),
                };
                let (requirement, whom) = (after.requirement(), subject.audience());
                let without = match after {
                    Outcome::Approval { breakglass: false } => ", without break-glass",
                    _ => "",
                };
                push(direction, format!("{profile} now needs {requirement}{instead}{whom}{when}{without}"));
            }
        }
    }
    // Everyone whom no rule names, at any time.
    if let [turn] = change.turns.as_slice()
        && subject.has_others()
        && covers_week(&turn.pieces)
    {
        match (turn.before, turn.after) {
            (Outcome::Deny, _) => push(Direction::Opens, String::from("users whom no rule names are no longer denied")),
            (_, Outcome::Deny) => push(Direction::Closes, String::from("users whom no rule names are now denied")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Faults, Source};
    use crate::policy::parse;

    /// Returns the effects of a change of the rules of prod's policy.
    fn means(before: &str, after: &str) -> Vec<String> {
        let policy = |rules: &str| {
            let mut faults = Faults::default();
            let policy = parse(&Source::new("p", format!("version: \"1\"\nrules:\n{rules}")), &mut faults);
            assert!(faults.is_empty() || rules.is_empty(), "{:?}", faults.into_sorted());
            policy
        };
        let (before, after) = (policy(before), policy(after));
        meaning("prod", before.as_ref(), after.as_ref()).into_iter().map(|one| one.text).collect()
    }

    fn rule(effect: &str, conditions: &str) -> String {
        format!("  - {{ name: {effect}-{}, effect: {effect}, conditions: {{ {conditions} }} }}\n", conditions.len())
    }

    /// A time window in the policy language.
    fn hours(days: &str, start: &str, end: &str) -> String {
        format!("time: {{ days: [{days}], hours: {{ start: \"{start}\", end: \"{end}\" }}, timezone: Europe/Zurich }}")
    }

    const WORK: &str = "monday, tuesday, wednesday, thursday, friday";

    #[test]
    fn users_who_gain_or_lose_access_are_named() {
        let one = rule("allow", "users: [alice]");
        let two = rule("allow", "users: [alice, bob]");
        assert_eq!(means(&one, &two), ["bob gains prod"]);
        assert_eq!(means(&two, &one), ["bob loses prod"]);
        let other = rule("allow", "users: [carol, dave]");
        assert_eq!(means(&two, &other), ["carol and dave gain prod", "alice and bob lose prod"]);
        assert_eq!(
            means(&one, &rule("require_approval", "users: [alice, bob]")),
            ["bob gains prod with approval", "prod now needs approval for alice",]
        );
        let many = rule("allow", "users: [a, b, c, d, e, f, g]");
        assert_eq!(means("", &many), ["a, b, c, d, e and 2 more gain prod"]);
    }

    #[test]
    fn conditions_of_access_are_reported() {
        let with = |effect: &str| rule(effect, "profiles: [prod]");
        assert_eq!(means(&with("allow"), &with("require_approval")), ["prod now needs approval"]);
        assert_eq!(means(&with("require_approval"), &with("allow")), ["prod no longer needs approval"]);
        assert_eq!(means(&with("allow"), &with("require_server")), ["prod now needs a credential server"]);
        assert_eq!(
            means(&with("require_approval"), &with("require_server")),
            ["prod now needs a credential server instead of approval"]
        );
        let table = |name: &str| format!("  - {{ name: r, effect: require_server_session, session_table: {name} }}\n");
        assert_eq!(means(&table("one"), &table("two")), ["sessions of prod are now recorded in two"]);
    }

    #[test]
    fn break_glass_changes_are_reported() {
        let with = "  - { name: r, effect: require_approval }\n";
        let without = "  - { name: r, effect: require_approval, breakglass: false }\n";
        let allow = rule("allow", "");
        assert_eq!(means(with, without), ["break-glass no longer opens prod"]);
        assert_eq!(means(without, with), ["break-glass now opens prod"]);
        assert_eq!(means(&allow, without), ["prod now needs approval, without break-glass"]);
        assert_eq!(means(without, &allow), ["prod no longer needs approval"]);
        let gains = "everyone gains prod with approval, without break-glass";
        assert_eq!(means("", without), [gains, "users whom no rule names are no longer denied"]);
        let for_alice = rule("require_approval", "users: [alice]");
        let not_alice = for_alice.replace("effect:", "breakglass: false, effect:");
        assert_eq!(means(&for_alice, &not_alice), ["break-glass no longer opens prod for alice"]);
    }

    #[test]
    fn break_glass_limit_changes_are_reported() {
        let with = "  - { name: r, effect: require_approval }\n";
        let limits = |events: u32, hours: u32| {
            format!("{with}breakglass_limits: {{ events_per_day: {events}, hours_per_day: {hours} }}\n")
        };
        let description = "break-glass of each user for prod is limited to";
        let higher = format!("{description} 5 events and 8 hours a day, was 3 events and 8 hours a day");
        assert_eq!(means(with, &limits(5, 8)), [higher]);
        let lower = format!("{description} 1 event and 1 hour a day, was 3 events and 8 hours a day");
        assert_eq!(means(&limits(3, 8), &limits(1, 1)), [lower]);
        assert_eq!(means(with, &limits(3, 8)), ["access does not change"]);
        // The limits have no effect unless a rule accepts break-glass.
        let without = |text: String| text.replace("require_approval", "require_approval, breakglass: false");
        let same = ["access does not change"];
        assert_eq!(means(&without(with.to_owned()), &without(limits(5, 8))), same);
    }

    #[test]
    fn principals_are_reported_as_written() {
        let admin = "arn:aws:sts::123456789012:assumed-role/Admin/*";
        let by = |more: &str| rule("allow", &format!("principals: [\"{admin}\"]{more}"));
        assert_eq!(means("", &by("")), [format!("{admin} gains prod")]);
        assert_eq!(means(&by(""), &by(", users: [alice]")), [format!("{admin} loses prod")]);
        // A caller that matches both patterns is not analyzed, and the output says so.
        let all = rule("deny", "principals: [\"arn:aws:sts::123456789012:assumed-role/*\"]");
        let text = means(&format!("{all}{}", by("")), &format!("{}{all}", by("")));
        assert_eq!(text, ["principals are compared as text, without callers that match several of them"]);
    }

    #[test]
    fn changes_of_released_credentials_are_reported() {
        let with = |credentials: &str| {
            let text = format!("version: \"1\"\n{credentials}rules:\n{}", rule("allow", "users: [alice]"));
            parse(&Source::new("p", text), &mut Faults::default()).unwrap()
        };
        let effects = |before: &str, after: &str| {
            let meanings = meaning("prod", Some(&with(before)), Some(&with(after)));
            meanings.into_iter().map(|one| (one.direction, one.text)).collect::<Vec<_>>()
        };
        let (one, two) = ("credentials: { aws_profile: [a] }\n", "credentials: { aws_profile: [a, b] }\n");
        let only = |names: &str| format!("prod now allows only credentials of the AWS profile {names}");
        assert_eq!(effects("", one), [(Direction::Closes, only("a"))]);
        assert_eq!(effects(one, two), [(Direction::Opens, only("a or b"))]);
        assert_eq!(
            effects(two, ""),
            [(Direction::Opens, String::from("prod now allows credentials of any AWS profile"))]
        );
        assert_eq!(effects(one, one), [(Direction::Same, String::from("access does not change"))]);
    }

    #[test]
    fn changes_of_the_default_are_reported_separately() {
        let alice = rule("allow", "users: [alice]");
        assert_eq!(
            means(&alice, &format!("{alice}{}", rule("allow", ""))),
            ["everyone but alice gains prod", "users whom no rule names are no longer denied",]
        );
        let open = rule("allow", "");
        assert_eq!(means(&open, &rule("deny", "")), ["everyone loses prod", "users whom no rule names are now denied"]);
        let not_eve = format!("{}{open}", rule("deny", "users: [eve]"));
        assert_eq!(means(&open, &not_eve), ["eve loses prod"]);
    }

    #[test]
    fn changed_hours_are_reported_with_their_new_values() {
        let office = |end: &str| rule("allow", &format!("users: [alice], {}", hours(WORK, "09:00", end)));
        let text = "the hours of prod for alice";
        assert_eq!(
            means(&office("17:00"), &office("20:00")),
            [format!("{text} widen to Monday to Friday 09:00\u{2013}20:00 (Europe/Zurich)")]
        );
        assert_eq!(
            means(&office("17:00"), &office("12:00")),
            [format!("{text} narrow to Monday to Friday 09:00\u{2013}12:00 (Europe/Zurich)")]
        );
        let weekend = rule("allow", &format!("users: [alice], {}", hours("saturday, sunday", "09:00", "17:00")));
        assert_eq!(
            means(&office("17:00"), &weekend),
            [format!("{text} move to Saturday and Sunday 09:00\u{2013}17:00 (Europe/Zurich)")]
        );
        assert_eq!(means(&office("17:00"), &rule("allow", "users: [alice]")), [format!("{text} widen to any time")]);
        assert_eq!(
            means("", &office("17:00")),
            ["alice gains prod Monday to Friday 09:00\u{2013}17:00 (Europe/Zurich)"]
        );
        // Outside the hours, approval is required: only the hour that changes is reported.
        let approval = rule("require_approval", "users: [alice]");
        assert_eq!(
            means(&format!("{}{approval}", office("17:00")), &format!("{}{approval}", office("18:00"))),
            ["prod no longer needs approval for alice Monday to Friday 17:00\u{2013}18:00 (Europe/Zurich)"]
        );
    }

    #[test]
    fn changes_of_one_mode_are_reported_for_that_mode() {
        let cli = rule("allow", "users: [alice], mode: [cli]");
        assert_eq!(means("", &cli), ["alice gains prod (mode cli)"]);
        assert_eq!(
            means(&cli, &rule("allow", "users: [alice]")),
            ["alice gains prod (mode credential_process, server)"]
        );
    }

    #[test]
    fn changes_without_effect_are_reported_as_such() {
        let alice = rule("allow", "users: [alice]");
        let same = ["access does not change"];
        assert_eq!(means(&alice, &format!("{alice}{}", rule("deny", ""))), same);
        // A rule for another profile has no effect on this one.
        assert_eq!(means(&alice, &format!("{}{alice}", rule("allow", "profiles: [dev]"))), same);
        assert_eq!(means(&alice, &alice), same);
    }

    #[test]
    fn uncertain_effects_are_not_reported() {
        let zurich = rule("allow", &format!("users: [alice], {}", hours(WORK, "09:00", "17:00")));
        let tokyo = zurich.replace("Europe/Zurich", "Asia/Tokyo");
        assert_eq!(means(&zurich, &tokyo), [""; 0]);
        // The answers for other users are still certain.
        assert_eq!(means(&zurich, &format!("{tokyo}{}", rule("allow", "users: [bob]"))), ["bob gains prod"]);
    }
}
