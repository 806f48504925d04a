//! Types for AWS calls that are generated from the list of kinds: batches of resources, and the clients of each kind.

/// Defines the types that read, write and find resources, from the lines of the registry.
macro_rules! aws {
    ($($section:ident: $variant:ident = $module:ident::$state:ident;)+) => {
        /// Resources of one kind that are read together, each with its index in the manifest.
        #[derive(Debug, Clone)]
        pub enum Batch<'a> {
            $($variant(Vec<(usize, &'a Desired<$module::$state>)>),)+
        }

        impl<'a> Batch<'a> {
            /// Divides desired resources into batches, by kind.
            pub fn divide(desired: &'a [DesiredResource]) -> Vec<Vec<Self>> {
                let mut batches = Vec::new();
                $(
                    let of_kind: Vec<_> = desired
                        .iter()
                        .enumerate()
                        .filter_map(|(index, one)| Some((index, one.of::<$module::$state>()?)))
                        .collect();
                    let size = KindId::$variant.about().batch;
                    batches.push(of_kind.chunks(size).map(|batch| Self::$variant(batch.to_vec())).collect());
                )+
                batches
            }

            /// Returns its description for the log.
            pub fn describe(&self) -> String {
                let of = |addresses: Vec<&Address>| match addresses[..] {
                    [one] => one.to_string(),
                    [] => String::new(),
                    [first, ..] => format!("{} {}", addresses.len(), first.kind.section()),
                };
                match self {
                    $(Self::$variant(batch) => of(batch.iter().map(|(_, one)| &one.address).collect()),)+
                }
            }

            /// Reads them.
            pub async fn observe(self, aws: &Aws) -> Vec<(usize, ObservedResource<'a>)> {
                match self {
                    $(Self::$variant(batch) => {
                        let wanted: Vec<_> = batch.iter().map(|(_, desired)| *desired).collect();
                        let observed = <$module::$state as Kind>::observe(aws.$module(), &wanted).await;
                        let pair = |((index, desired), observed)| {
                            (index, ObservedResource::$variant(Box::new(Pair { desired, observed })))
                        };
                        batch.into_iter().zip(desired::one_for_each(&wanted, observed)).map(pair).collect()
                    })+
                }
            }
        }

        /// The clients of all kinds for one connection, each created when it is first used.
        #[derive(Debug)]
        pub struct Aws {
            config: SdkConfig,
            pacer: Arc<Pacer>,
            identity: Arc<Identity>,
            $($module: OnceLock<<$module::$state as Kind>::Api>,)+
        }

        impl Aws {
            /// Returns the clients for a connection.
            pub fn new(config: SdkConfig, pacer: Arc<Pacer>, identity: Arc<Identity>) -> Self {
                Self { config, pacer, identity, $($module: OnceLock::new(),)+ }
            }

            $(#[doc = concat!("Returns what makes the calls of ", stringify!($module), ".")]
            pub fn $module(&self) -> &<$module::$state as Kind>::Api {
                self.$module.get_or_init(|| {
                    <$module::$state as Kind>::api(&self.config, &self.pacer, &self.identity)
                })
            })+

            /// Runs one step.
            pub async fn execute(&self, step: &Step, waiting: Waiting) -> Result<StepOutcome, CallError> {
                match step {
                    $(Step::$variant(step) => <$module::$state as Kind>::execute(self.$module(), step, waiting).await,)+
                }
            }

            /// Lists the resources of a kind that carry the ownership tag, if the kind supports this.
            pub async fn owned(
                &self,
                kind: KindId,
                search: &Search<'_>,
            ) -> Option<Result<HashSet<String>, CallError>> {
                match kind {
                    $(KindId::$variant => <$module::$state as Kind>::owned(self.$module(), search).await,)+
                }
            }

            /// Finds importable resources of all kinds concurrently.
            ///
            /// # Errors
            ///
            /// Fails if a kind cannot be listed, or if a named resource does not exist.
            pub async fn discover(&self, request: &Request<'_>) -> Result<FoundResources, DiscoverError> {
                $(let $section = async {
                    <$module::$state as Kind>::discover(self.$module(), &request.of(KindId::$variant)).await
                };)+
                let ($($section,)+) = tokio::join!($($section,)+);
                let mut warnings = Vec::new();
                $(
                    let discovered = $section?;
                    warnings.extend(discovered.warnings);
                    let $section = discovered.found;
                )+
                Ok(FoundResources { $($section,)+ warnings })
            }

            /// Finds resources of all kinds that the manifest does not list, concurrently.
            pub async fn unlisted(&self, search: &Search<'_>) -> Vec<Unlisted> {
                let found: Vec<Pin<Box<dyn Future<Output = Unlisted> + '_>>> =
                    vec![$(Box::pin(<$module::$state as Kind>::unlisted(self.$module(), search)),)+];
                future::join_all(found).await
            }
        }
    };
}

pub(in crate::kind) use aws;
