//! Types for manifests that are generated from the list of kinds: the sections, and the results of an import.

/// Defines the sections of a manifest, from the lines of the registry.
macro_rules! sections {
    ($($section:ident: $variant:ident = $module:ident::$state:ident;)+) => {
        /// The sections of a manifest, by kind.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Sections {
            $(
                #[doc = concat!("`[", stringify!($section), ".NAME]`")]
                pub $section: IndexMap<String, <$module::$state as Kind>::Section>,
            )+
            /// The sections with `removed = true`.
            pub removed: BTreeSet<Address>,
        }

        impl Sections {
            /// Reads the sections of every kind.
            pub fn read(&mut self, section: &mut SectionReader<'_, '_>, manifest: &mut Fields<'_>) {
                $(
                    if let Some(entry) = manifest.get(stringify!($section))
                        && let Some(fields) = section.reader.map(&entry.node, stringify!($section))
                    {
                        for entry in fields.all() {
                            if let Some(read) = <$module::$state as Kind>::read(section, entry) {
                                if section.take_removed() {
                                    self.removed.insert(Address::new(KindId::$variant, &entry.key));
                                }
                                self.$section.insert(entry.key.clone(), read);
                            }
                        }
                    }
                )+
            }

            /// Returns every section as TOML.
            pub fn write(&self) -> Vec<String> {
                let mut sections = Vec::new();
                $(sections.extend(self.$section.iter().map(|(key, section)| {
                    let text = <$module::$state as Kind>::write(key, section);
                    match self.removed.contains(&Address::new(KindId::$variant, key)) {
                        // Inserted below the header of the section, which is its first line.
                        true => text.replacen("]\n", "]\nremoved = true\n", 1),
                        false => text,
                    }
                }));)+
                sections
            }

            /// Returns the desired state of every section. `known` has resources that were already resolved and are the same here.
            pub fn resolve(
                &self,
                resolver: &mut Resolver<'_>,
                known: &HashMap<&Address, &DesiredResource>,
            ) -> Vec<DesiredResource> {
                let references = self.references();
                references::check(resolver, &self.addresses(), &references);
                references::check_removed(resolver, &self.removed, &references);
                resolver.names = self.names();
                resolver.served = self.served();
                let mut desired: Vec<DesiredResource> = Vec::new();
                $(
                    let resolve = |(key, section): (&String, &<$module::$state as Kind>::Section)| {
                        let address = Address::new(KindId::$variant, key);
                        if let Some(known) = known.get(&address) {
                            return Some((*known).clone());
                        }
                        if self.removed.contains(&address) {
                            return desired::removed::<$module::$state>(resolver, address, section)
                                .map(DesiredResource::from);
                        }
                        let mut one = <$module::$state as Kind>::resolve(resolver, key, section)?;
                        let refers_to = references.get(&one.address).into_iter().flatten();
                        one.depends_on.extend(refers_to.map(|reference| reference.to.clone()));
                        Some(DesiredResource::from(one))
                    };
                    let resolved: Vec<DesiredResource> = self.$section.iter().filter_map(resolve).collect();
                    let names = resolved.iter().map(|one| (one.address(), one.name()));
                    resolver.check_names(KindId::$variant, names);
                    desired.extend(resolved);
                )+
                desired
            }

            /// Returns the AWS name of each section that can be referenced.
            fn names(&self) -> BTreeMap<Address, String> {
                let mut names = BTreeMap::new();
                $(names.extend(self.$section.iter().filter_map(|(key, section)| {
                    let name = <$module::$state as Kind>::referred_as(key, section)?;
                    Some((Address::new(KindId::$variant, key), name))
                }));)+
                names
            }

            /// Returns the AWS name by which others refer to a section.
            pub fn name_of(&self, address: &Address) -> Option<String> {
                self.names().remove(address)
            }

            /// Returns the sections that provide services, which others can refer to without a name.
            fn served(&self) -> BTreeSet<(Service, Address)> {
                let mut served = BTreeSet::new();
                $(served.extend(self.$section.iter().filter_map(|(key, section)| {
                    let service = <$module::$state as Kind>::provides(section)?;
                    Some((service, Address::new(KindId::$variant, key)))
                }));)+
                served.retain(|(_, address)| !self.removed.contains(address));
                served
            }

            /// Returns the AWS name of the single section that provides a service; `None` if there are several.
            pub fn serving(&self, service: Service) -> Option<String> {
                let served = self.served();
                let mut addresses = served.iter().filter(|(one, _)| *one == service).map(|(_, address)| address);
                let only = addresses.next().filter(|_| addresses.next().is_none())?;
                self.name_of(only)
            }

            /// Returns the uses for which sections request permissions.
            pub fn derived(&self) -> Vec<(Address, Use)> {
                let mut derived = Vec::new();
                $(derived.extend(self.$section.iter().filter_map(|(key, section)| {
                    let purpose = <$module::$state as Kind>::derives(section)?;
                    Some((Address::new(KindId::$variant, key), purpose))
                }));)+
                derived.retain(|(address, _)| !self.removed.contains(address));
                derived
            }

            /// Returns the references of each section, including those by AWS name. A removed section has none.
            pub fn references(&self) -> BTreeMap<Address, Vec<Reference>> {
                let mut references = BTreeMap::new();
                let (names, served) = (self.names(), self.served());
                $(references.extend(self.$section.iter().map(|(key, section)| {
                    let mut all = <$module::$state as Kind>::references(section);
                    let uses = <$module::$state as Kind>::uses(section).into_iter();
                    all.extend(uses.flat_map(|named| references::by_name(named, &names)));
                    let relied_on = <$module::$state as Kind>::service_references(section).into_iter();
                    all.extend(relied_on.flat_map(|setting| references::by_service(setting, &served)));
                    (Address::new(KindId::$variant, key), all)
                }));)+
                references.retain(|from, _| !self.removed.contains(from));
                references
            }

            /// Returns the addresses of every section.
            pub fn addresses(&self) -> Vec<Address> {
                let mut addresses = Vec::new();
                $(addresses.extend(self.$section.keys().map(|key| Address::new(KindId::$variant, key)));)+
                addresses
            }
        }

        /// Live resources that can be imported, by kind.
        #[derive(Debug, Default)]
        pub struct FoundResources {
            $(
                #[doc = concat!("For `[", stringify!($section), ".NAME]`.")]
                pub $section: Vec<Found<$module::$state>>,
            )+
            pub warnings: Vec<Warning>,
        }

        impl FoundResources {
            /// Converts them to the sections of a manifest.
            pub fn import(self, policy_root: &PolicyRoot) -> import::Imported {
                let mut importer = Importer::new(policy_root, self.warnings);
                $(let $section = importer.keys(KindId::$variant, self.$section);)+
                let removed = BTreeSet::new();
                let sections = Sections { $($section: importer.sections(KindId::$variant, $section),)+ removed };
                importer.finish(sections)
            }
        }

        #[cfg(test)]
        impl Sections {
            /// Generates sections for property tests.
            pub(crate) fn any() -> impl proptest::strategy::Strategy<Value = Self> {
                let sections = ($(<$module::$state as Kind>::any_sections(),)+);
                let chosen = proptest::arbitrary::any::<u64>();
                proptest::strategy::Strategy::prop_map((sections, chosen), |(($($section,)+), chosen)| {
                    let mut all = Self { $($section,)+ removed: BTreeSet::new() };
                    // Keys are never removed.
                    let others = all.addresses().into_iter().filter(|address| address.kind != KindId::Key);
                    all.removed = others.enumerate().filter(|(at, _)| chosen >> (at % 64) & 3 == 3).map(|(_, one)| one).collect();
                    all
                })
            }
        }
    };
}

pub(in crate::kind) use sections;
