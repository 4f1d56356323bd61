//! What reflection serves, and the promise that it only ever grows.

/// Descriptors of every message and service of ours.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/profiler.v1.descriptors"));

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::PathBuf};

    use prost::Message as _;
    use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

    /// What the first release and every one since promised.
    fn golden_path() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/profiler.v1.descriptors")
    }

    /// Every promise of a set of descriptors, one line each.
    fn promises(bytes: &[u8]) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        for file in FileDescriptorSet::decode(bytes).unwrap().file {
            let package = file.package().to_owned();
            for message in &file.message_type {
                of_message(&package, message, &mut lines);
            }
            for value in &file.enum_type {
                of_enum(&package, value, &mut lines);
            }
            for service in &file.service {
                for method in &service.method {
                    lines.insert(format!(
                        "rpc {package}.{}.{}({} {}) returns ({} {})",
                        service.name(),
                        method.name(),
                        method.client_streaming(),
                        method.input_type(),
                        method.server_streaming(),
                        method.output_type(),
                    ));
                }
            }
        }
        lines
    }

    fn of_message(scope: &str, message: &DescriptorProto, lines: &mut BTreeSet<String>) {
        let name = format!("{scope}.{}", message.name());
        lines.insert(format!("message {name}"));
        for field in &message.field {
            let group = field.oneof_index.map(|index| {
                let index = usize::try_from(index).unwrap();
                message.oneof_decl[index].name().to_owned()
            });
            lines.insert(format!(
                "field {name}.{} = {}: {:?} {:?} {} in {group:?}",
                field.name(),
                field.number(),
                field.label(),
                field.r#type(),
                field.type_name(),
            ));
        }
        for inner in &message.nested_type {
            of_message(&name, inner, lines);
        }
        for inner in &message.enum_type {
            of_enum(&name, inner, lines);
        }
    }

    fn of_enum(scope: &str, value: &EnumDescriptorProto, lines: &mut BTreeSet<String>) {
        for code in &value.value {
            let (name, code_name, number) = (value.name(), code.name(), code.number());
            lines.insert(format!("enum {scope}.{name}.{code_name} = {number}"));
        }
    }

    /// The descriptors without comments.
    fn bare(bytes: &[u8]) -> Vec<u8> {
        let mut set = FileDescriptorSet::decode(bytes).unwrap();
        for file in &mut set.file {
            file.source_code_info = None;
        }
        set.encode_to_vec()
    }

    /// To take additions into the promise: `REFRESH_GOLDEN=1 cargo test -p profiler descriptors`.
    #[test]
    fn fields_are_only_ever_added() {
        let golden = fs::read(golden_path()).unwrap_or_default();
        let promised = promises(&golden);
        let kept = promises(super::DESCRIPTORS);
        let broken: Vec<_> = promised.difference(&kept).collect();
        assert!(broken.is_empty(), "changed or missing: {broken:#?}");
        if std::env::var_os("REFRESH_GOLDEN").is_some() {
            fs::write(golden_path(), bare(super::DESCRIPTORS)).unwrap();
        } else {
            let added: Vec<_> = kept.difference(&promised).collect();
            assert!(
                added.is_empty(),
                "not promised yet: {added:#?}\nREFRESH_GOLDEN=1 cargo test -p profiler \
                 descriptors takes them into tests/golden/profiler.v1.descriptors"
            );
        }
    }

    #[test]
    fn a_changed_field_is_noticed() {
        let mut set = FileDescriptorSet::decode(super::DESCRIPTORS).unwrap();
        let field = &mut set.file[0].message_type[0].field[0];
        field.number = Some(99);
        let changed = promises(&set.encode_to_vec());
        assert_eq!(1, promises(super::DESCRIPTORS).difference(&changed).count());
    }
}
