//! Types that are generated from the list of kinds: an ID for each kind, and one type for any of them.
//!
//! They are enums instead of trait objects, so that a plan is plain data that can be saved, compared and read back.

pub(super) mod aws;
pub(super) mod sections;

/// Defines the registry. Each line has the section of the manifest, a variant, the module of the kind, and the type of its state, which
/// implements [`Kind`](super::Kind).
macro_rules! kinds {
    ($($section:ident: $variant:ident = $module:ident::$state:ident;)+) => {
        $(pub mod $module;)+

        /// The kind of a resource. The order is that of the sections of a report.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum KindId {
            $($variant,)+
        }

        impl KindId {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the description of the kind.
            pub const fn about(self) -> &'static About {
                match self {
                    $(Self::$variant => &<$module::$state as Kind>::ABOUT,)+
                }
            }
        }

        impl KindId {
            /// Returns the permissions to find resources that the manifest does not list and, depending on the purpose, to delete them.
            pub fn unlisted_permissions(self, location: &Location, policy_root: &PolicyRoot, purpose: Purpose) -> Vec<Permission> {
                match self {
                    $(Self::$variant => permission::named::<$module::$state>(
                        <$module::$state as Kind>::unlisted_permissions(location, policy_root, purpose),
                    ),)+
                }
            }

            pub(super) fn arn_name(self, resource: &str, policy_root: &PolicyRoot) -> Option<ArnName> {
                match self {
                    $(Self::$variant => <$module::$state as Kind>::of_arn(resource, policy_root),)+
                }
            }

            /// Checks an AWS name from the user.
            ///
            /// # Errors
            ///
            /// Returns the reason why AWS cannot have a resource with this name.
            pub fn check_name(self, name: &str) -> Result<(), Invalid> {
                match self {
                    $(Self::$variant => <$module::$state as Kind>::check_name(name),)+
                }
            }

            /// Returns serde's error for a step that the kind does not have.
            #[cfg(test)]
            pub(crate) fn unknown_step(self) -> String {
                let unknown = serde_json::json!({ "step": "" });
                let error = match self {
                    $(Self::$variant => serde_json::from_value::<<$module::$state as Kind>::Step>(unknown).err(),)+
                };
                error.map(|error| error.to_string()).unwrap_or_default()
            }

            /// Returns its part of the JSON Schemas.
            pub fn schema(self) -> Schema {
                match self {
                    $(Self::$variant => <$module::$state as Kind>::schema(),)+
                }
            }

            /// Returns the approximate number of calls that observe resources with these layouts.
            pub fn calls_to_observe(self, layouts: &[Option<&Layout>]) -> usize {
                match self {
                    $(Self::$variant => {
                        let own: Vec<Option<&$module::$state>> =
                            layouts.iter().map(|layout| layout.and_then(Layout::of)).collect();
                        <$module::$state as Kind>::calls_to_observe(&own)
                    })+
                }
            }
        }

        $crate::kind::registry::sections::sections! {
            $($section: $variant = $module::$state;)+
        }

        /// A desired resource of any kind. It is shared by the manifest, the pass of each target and saved plans.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum DesiredResource {
            $($variant(Arc<Desired<$module::$state>>),)+
        }

        $(impl From<Desired<$module::$state>> for DesiredResource {
            fn from(desired: Desired<$module::$state>) -> Self {
                Self::$variant(Arc::new(desired))
            }
        })+

        impl DesiredResource {
            /// Returns its address in the manifest.
            pub fn address(&self) -> &Address {
                match self {
                    $(Self::$variant(one) => &one.address,)+
                }
            }

            /// Returns its name in AWS.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant(one) => &one.name,)+
                }
            }

            /// Returns the source of its content.
            pub fn origin(&self) -> Option<&str> {
                match self {
                    $(Self::$variant(one) => one.origin.as_deref(),)+
                }
            }

            /// Returns the part of it that is not available in a region.
            pub fn misplaced(&self, region: &RegionName) -> Option<Misplaced> {
                match self {
                    $(Self::$variant(one) => Kind::misplaced(&**one, region),)+
                }
            }

            /// Returns the environment variable of its content, if it is not set.
            pub fn unset(&self) -> Option<&str> {
                match self {
                    $(Self::$variant(one) => Kind::unset(&**one),)+
                }
            }

            /// Returns it with adoption turned on, which adds a missing ownership tag.
            #[must_use]
            pub fn adopted(mut self) -> Self {
                match &mut self {
                    $(Self::$variant(one) if one.presence.is_present() => Arc::make_mut(one).adopt = true,)+
                    _ => {}
                }
                self
            }

            /// Returns it as a resource of one kind, if it is of that kind.
            pub fn of<K: Kind>(&self) -> Option<&Desired<K>> {
                let one: &dyn Any = match self {
                    $(Self::$variant(one) => &**one,)+
                };
                one.downcast_ref()
            }

            /// Returns the key of the ownership tag, if a missing tag is added.
            pub fn adopts(&self) -> Option<&OwnerKey> {
                match self {
                    $(Self::$variant(one) => one.ownership.as_ref().filter(|_| one.adopt),)+
                }
            }

            /// Returns the key of its ownership tag.
            pub fn ownership(&self) -> Option<&str> {
                match self {
                    $(Self::$variant(one) => one.ownership.as_deref(),)+
                }
            }

            /// Returns whether a missing ownership tag is added.
            pub fn adopt(&self) -> bool {
                match self {
                    $(Self::$variant(one) => one.adopt,)+
                }
            }

            /// Returns whether it should exist.
            pub fn presence(&self) -> Presence {
                match self {
                    $(Self::$variant(one) => one.presence,)+
                }
            }

            /// Returns the manifest that would express it.
            pub fn as_manifest(&self) -> AsManifest {
                match self {
                    $(Self::$variant(one) => {
                        let section = <$module::$state as Kind>::section_of(one);
                        let $section = IndexMap::from([(one.address.key.clone(), section)]);
                        let removed = (one.presence == Presence::Removed).then(|| one.address.clone());
                        let removed = removed.into_iter().collect();
                        desired::as_manifest(one, Sections { $section, removed, ..Sections::default() })
                    })+
                }
            }

            /// Checks that pruning could delete it.
            ///
            /// # Errors
            ///
            /// Returns the difference.
            pub fn check_removal(&self, policy_root: &PolicyRoot) -> Result<(), String> {
                match self {
                    $(Self::$variant(one) => desired::check_removal(one, policy_root),)+
                }
            }

            /// Restores its secrets, of which only digests are known, from the manifest's current values.
            pub fn restore_secrets(&mut self, now: &Self) {
                match (self, now) {
                    $((Self::$variant(saved), Self::$variant(now)) => Kind::restore_secrets(Arc::make_mut(saved), &**now),)+
                    _ => {}
                }
            }

            /// Restores the secret of its step. Returns whether the step is complete.
            pub fn restore_step_secret(&self, step: &mut Step) -> bool {
                match (self, step) {
                    $((Self::$variant(one), Step::$variant(step)) => <$module::$state as Kind>::restore_step_secret(step, one),)+
                    _ => true,
                }
            }

            /// Adds the permissions that its section requests.
            ///
            /// # Errors
            ///
            /// Returns the reason why it cannot have them.
            pub fn add_permissions(&mut self, permissions: Vec<PolicyDocument>) -> Result<(), Invalid> {
                match self {
                    $(Self::$variant(one) => Kind::add_permissions(Arc::make_mut(one), permissions),)+
                }
            }

            /// Returns its dependencies.
            pub fn depends_on(&self) -> &BTreeSet<Address> {
                match self {
                    $(Self::$variant(one) => &one.depends_on,)+
                }
            }

            /// Returns it without dependencies.
            #[must_use]
            pub fn independent(mut self) -> Self {
                match &mut self {
                    $(Self::$variant(one) if !one.depends_on.is_empty() => Arc::make_mut(one).depends_on.clear(),)+
                    _ => {}
                }
                self
            }

            /// Returns it with additional dependencies.
            #[cfg(test)]
            pub(crate) fn depending(mut self, on: &[Address]) -> Self {
                match &mut self {
                    $(Self::$variant(one) => Arc::make_mut(one).depends_on.extend(on.iter().cloned()),)+
                }
                self
            }

            /// Returns the lines of its diagram.
            pub fn sketch(&self) -> Vec<Line> {
                match self {
                    $(Self::$variant(one) => Kind::sketch(&one.managed, one.origin.as_deref()),)+
                }
            }

            /// Returns it as absent or, with a gap, as unknown.
            pub fn without_live(&self, gap: Option<Gap>) -> ObservedResource<'_> {
                match self {
                    $(Self::$variant(one) => {
                        let observed = gap.map_or(Observed::Absent, Observed::Unknown);
                        ObservedResource::$variant(Box::new(Pair { desired: one, observed }))
                    })+
                }
            }

            /// Returns its layout, if plans contain the layouts of its kind.
            pub fn layout(&self) -> Option<Layout> {
                match self {
                    $(Self::$variant(one) => {
                        <$module::$state as Kind>::ABOUT.shows_layout.then(|| one.initial.clone().into())
                    })+
                }
            }

            /// Returns the permissions for these operations of it.
            pub fn permissions(&self, operations: Vec<Operation>, purpose: Purpose, location: &Location) -> Vec<Permission> {
                match self {
                    $(Self::$variant(one) => permission::of(&**one, operations, purpose, location),)+
                }
            }

            /// Returns the operations that observe it.
            pub fn reads(&self) -> Vec<Operation> {
                match self {
                    $(Self::$variant(one) => Kind::reads(&**one),)+
                }
            }

            /// Returns the steps that create it, or that delete it if it should not exist.
            pub fn create(&self) -> Vec<Step> {
                match self {
                    $(Self::$variant(one) if !one.presence.is_present() => {
                        let deletion = Kind::delete(&**one, &Kind::opposite(&**one));
                        deletion.steps.into_iter().map(Step::$variant).collect()
                    })+
                    $(Self::$variant(one) => Kind::create(&**one).into_iter().map(Step::$variant).collect(),)+
                }
            }

            /// Returns the steps that repair every possible drift.
            pub fn repair_everything(&self) -> Vec<Step> {
                match self {
                    $(Self::$variant(one) if !one.presence.is_present() => Vec::new(),)+
                    $(Self::$variant(one) => repair_everything(&**one).into_iter().map(Step::$variant).collect(),)+
                }
            }
        }

        /// An observed resource of any kind.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum ObservedResource<'a> {
            $($variant(Box<Pair<'a, $module::$state>>),)+
        }

        impl ObservedResource<'_> {
            /// Returns the reason why it, or a part of it, is unknown.
            pub fn gap(&self) -> Option<&Gap> {
                match self {
                    $(Self::$variant(pair) => match &pair.observed {
                        Observed::Unknown(gap) => Some(gap),
                        Observed::Present(live) => live.gaps.first(),
                        Observed::Absent => None,
                    },)+
                }
            }

            /// Records whether it carries the ownership tag, given the list of its kind.
            pub fn mark_owned(&mut self, kind: KindId, owned: &Result<HashSet<String>, CallError>) {
                match self {
                    $(Self::$variant(pair) if kind == KindId::$variant => mark_owned(pair, owned),)+
                    _ => {}
                }
            }

            /// Passes it to a visitor, which is generic over the kind.
            pub fn visit<V: Visitor>(&self, visitor: V) -> V::Output {
                match self {
                    $(Self::$variant(pair) => visitor.visit(pair),)+
                }
            }
        }

        /// One AWS call that writes, or one wait, of any kind.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(untagged)]
        pub enum Step {
            $($variant(<$module::$state as Kind>::Step),)+
        }

        $(impl From<<$module::$state as Kind>::Step> for Step {
            fn from(step: <$module::$state as Kind>::Step) -> Self {
                Self::$variant(step)
            }
        })+

        impl Step {
            /// Returns it for display, if it contains secrets.
            pub fn shown(&self) -> Option<Self> {
                match self {
                    $(Self::$variant(step) => KindStep::shown(step).map(Self::$variant),)+
                }
            }

            fn own(&self) -> &dyn KindStep {
                match self {
                    $(Self::$variant(step) => step,)+
                }
            }
        }

        /// The layout of a new resource of any kind.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        #[allow(clippy::large_enum_variant, reason = "a plan has it in a box")]
        pub enum Layout {
            $($variant($module::$state),)+
        }

        $(impl From<$module::$state> for Layout {
            fn from(state: $module::$state) -> Self {
                Self::$variant(state)
            }
        })+

        impl Layout {
            /// Reads the layout of a kind from a document.
            pub fn read(kind: KindId, value: serde_json::Value) -> serde_json::Result<Self> {
                match kind {
                    $(KindId::$variant => serde_json::from_value(value).map(Self::$variant),)+
                }
            }

            /// Returns it for display, if it contains secrets.
            pub fn shown(&self) -> Option<Self> {
                match self {
                    $(Self::$variant(state) => Kind::shown(state).map(Self::$variant),)+
                }
            }

            /// Returns it as text, by setting.
            pub fn lines(&self) -> Vec<Line> {
                match self {
                    $(Self::$variant(state) => Kind::layout(state),)+
                }
            }

            /// Returns the lines of its diagram, and the settings that the diagram does not show.
            pub fn drawn(&self) -> Drawn {
                match self {
                    $(Self::$variant(state) => {
                        let mut rest = Kind::layout(state);
                        rest.retain(|line| !<$module::$state as Kind>::is_drawn(&line.name));
                        Drawn { sketch: Kind::sketch(state, None), rest }
                    })+
                }
            }

            /// Returns it as the layout of one kind, if it is of that kind.
            pub fn of<K: Kind>(&self) -> Option<&K> {
                let one: &dyn Any = match self {
                    $(Self::$variant(state) => state,)+
                };
                one.downcast_ref()
            }
        }

        $crate::kind::registry::aws::aws! {
            $($section: $variant = $module::$state;)+
        }
    };
}

pub(super) use kinds;
