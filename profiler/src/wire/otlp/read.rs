//! Request to profiles.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{collections::BTreeMap, time::Duration};

use opentelemetry_proto::tonic::{
    collector::profiles::v1development::ExportProfilesServiceRequest as Request,
    profiles::v1development::{
        Location as OtlpLocation, Mapping, Profile as OtlpMessage, ProfilesDictionary, Sample,
    },
    resource::v1::Resource,
};
use prost::Message as _;

use super::{
    OtlpError, ProfileError,
    attributes::{BUILD_ID, FRAME_TYPE, attribute, entry, label_name, resource_attribute, string},
    limits::{LABELS_MAX, MESSAGE_SIZE_BYTES_MAX, STACK_DEPTH_MAX},
    scan,
};
use crate::model::{
    BuildId, FrameIndex, FrameKind, Labels, Location, Naming, ObjectFile, Pid, Profile,
    ProfileBuilder, Reason, StackIndex, Task, ValueType, label,
};

/// A profile with what the model does not keep in it.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpProfile {
    /// `cpu`, `offcpu`, or the name of what was counted.
    pub signal: String,
    /// Nanoseconds that one unit stands for; zero when samples are not periodic.
    pub period_ns: u64,
    /// The data. Labels of the resource are among those of its tasks.
    pub profile: Profile,
}

/// What a request held.
#[derive(Debug, Default)]
pub struct OtlpProfiles {
    /// Profiles that fit.
    pub profiles: Vec<OtlpProfile>,
    /// How many did not.
    pub rejected: usize,
    /// Why the first of them did not.
    pub reason: Option<ProfileError>,
}

/// Reads an export request, unpacked.
///
/// # Errors
/// The request as a whole cannot be read.
pub fn read(bytes: &[u8]) -> Result<OtlpProfiles, OtlpError> {
    if MESSAGE_SIZE_BYTES_MAX < bytes.len() {
        return Err(OtlpError::TooLarge);
    }
    scan::check_counts(bytes)?;
    let request = Request::decode(bytes).map_err(OtlpError::Message)?;
    let dictionary = request.dictionary.unwrap_or_default();
    let mut found = OtlpProfiles::default();
    for resource_profiles in &request.resource_profiles {
        let scopes = resource_profiles.scope_profiles.iter();
        for message in scopes.flat_map(|scope| &scope.profiles) {
            match read_profile(&dictionary, resource_profiles.resource.as_ref(), message) {
                Ok(profile) => found.profiles.push(profile),
                Err(error) => {
                    found.rejected = found.rejected.saturating_add(1);
                    found.reason.get_or_insert(error);
                }
            }
        }
    }
    Ok(found)
}

/// Reads one profile.
fn read_profile(
    dictionary: &ProfilesDictionary,
    resource: Option<&Resource>,
    message: &OtlpMessage,
) -> Result<OtlpProfile, ProfileError> {
    let sample_type = message.sample_type.ok_or(ProfileError::NoSampleType)?;
    let value_type = ValueType {
        kind: string(dictionary, sample_type.type_strindex)?.to_owned(),
        unit: string(dictionary, sample_type.unit_strindex)?.to_owned(),
    };
    if value_type.kind.is_empty() || value_type.unit.is_empty() {
        return Err(ProfileError::NoSampleType);
    }
    let mut reader = Reader {
        dictionary,
        builder: ProfileBuilder::new(vec![value_type.clone()]),
        shared: resource_labels(dictionary, resource)?,
        frames: BTreeMap::new(),
        stacks: BTreeMap::new(),
    };
    for sample in &message.samples {
        reader.sample(sample)?;
    }
    Ok(OtlpProfile {
        signal: signal(&value_type),
        period_ns: period_ns(dictionary, message, &value_type)?,
        profile: reader.finish(message, &value_type),
    })
}

/// The name of a signal for what is counted.
fn signal(value_type: &ValueType) -> String {
    match value_type.kind.as_str() {
        "samples" | "cpu" | "on_cpu" => "cpu".to_owned(),
        "off_cpu" | "off-cpu" => "offcpu".to_owned(),
        other => other.to_owned(),
    }
}

/// What a counted sample stands for, when the profile says so in nanoseconds.
fn period_ns(
    dictionary: &ProfilesDictionary,
    message: &OtlpMessage,
    value_type: &ValueType,
) -> Result<u64, ProfileError> {
    let Some(period_type) = message.period_type else {
        return Ok(0);
    };
    let unit = string(dictionary, period_type.unit_strindex)?;
    let is_time = unit == "nanoseconds" && value_type.unit == "count";
    Ok(if is_time {
        u64::try_from(message.period).unwrap_or_default()
    } else {
        0
    })
}

/// Labels that all profiles of a resource share.
fn resource_labels(
    dictionary: &ProfilesDictionary,
    resource: Option<&Resource>,
) -> Result<Labels, ProfileError> {
    let mut labels = Labels::new();
    let attributes = resource.map(|resource| resource.attributes.as_slice());
    for known in attributes.unwrap_or_default().iter().take(LABELS_MAX) {
        let (name, value) = resource_attribute(dictionary, known)?;
        add_label(&mut labels, name, value);
    }
    Ok(labels)
}

/// Adds what an attribute says.
fn add_label(labels: &mut Labels, attribute: &str, value: String) {
    if !value.is_empty() && labels.len() < LABELS_MAX {
        labels.insert(label_name(attribute), value);
    }
}

/// What grows while a profile is read.
struct Reader<'a> {
    dictionary: &'a ProfilesDictionary,
    builder: ProfileBuilder,
    shared: Labels,
    frames: BTreeMap<i32, FrameIndex>,
    stacks: BTreeMap<i32, StackIndex>,
}

impl Reader<'_> {
    /// Adds one sample: an aggregate, or a value for each of its times.
    fn sample(&mut self, sample: &Sample) -> Result<(), ProfileError> {
        let mut value = 0_u64;
        for part in &sample.values {
            let part = u64::try_from(*part).map_err(|_negative| ProfileError::Negative)?;
            value = value.saturating_add(part);
        }
        if sample.values.is_empty() {
            value = u64::try_from(sample.timestamps_unix_nano.len()).unwrap_or(u64::MAX);
        }
        let mut labels = self.shared.clone();
        for index in &sample.attribute_indices {
            let (name, value) = attribute(self.dictionary, *index)?;
            add_label(&mut labels, name, value);
        }
        let stack = self.stack(sample.stack_index)?;
        let task = self.builder.task(task_of(labels));
        self.builder.add(task, stack, &[value]);
        Ok(())
    }

    /// Interns a stack of the dictionary.
    fn stack(&mut self, index: i32) -> Result<StackIndex, ProfileError> {
        if let Some(known) = self.stacks.get(&index) {
            return Ok(*known);
        }
        let stack = entry(&self.dictionary.stack_table, "stacks", index)?;
        if STACK_DEPTH_MAX < stack.location_indices.len() {
            return Err(ProfileError::Depth);
        }
        let frames = (stack.location_indices.iter())
            .map(|location| self.frame(*location))
            .collect::<Result<_, _>>()?;
        let interned = self.builder.stack(frames);
        self.stacks.insert(index, interned);
        Ok(interned)
    }

    /// Interns a location of the dictionary.
    fn frame(&mut self, index: i32) -> Result<FrameIndex, ProfileError> {
        if let Some(known) = self.frames.get(&index) {
            return Ok(*known);
        }
        let location = entry(&self.dictionary.location_table, "locations", index)?;
        let mapping = match location.mapping_index {
            0 => None,
            index => Some(entry(&self.dictionary.mapping_table, "mappings", index)?),
        };
        let object = mapping.map(|mapping| self.object(mapping)).transpose()?;
        let object = object.filter(|object| *object != ObjectFile::default());
        let object = object.map(|object| self.builder.object(object));
        let address = mapping.map_or(location.address, |mapping| {
            let offset = location.address.wrapping_sub(mapping.memory_start);
            offset.wrapping_add(mapping.file_offset)
        });
        let kind = self.kind(location)?;
        let naming = self.naming(location)?;
        let interned = self.builder.frame(kind, object, address, naming);
        self.frames.insert(index, interned);
        Ok(interned)
    }

    /// The file of a mapping.
    fn object(&self, mapping: &Mapping) -> Result<ObjectFile, ProfileError> {
        let mut build_id = None;
        for index in &mapping.attribute_indices {
            let (name, value) = attribute(self.dictionary, *index)?;
            if name == BUILD_ID {
                build_id = BuildId::try_from(value).ok();
            }
        }
        let path = string(self.dictionary, mapping.filename_strindex)?.to_owned();
        Ok(ObjectFile { path, build_id })
    }

    /// What a frame is: the kernel's, native code, or some language's.
    fn kind(&self, location: &OtlpLocation) -> Result<FrameKind, ProfileError> {
        for index in &location.attribute_indices {
            let (name, value) = attribute(self.dictionary, *index)?;
            if name == FRAME_TYPE {
                return Ok(match value.as_str() {
                    "native" => FrameKind::Native,
                    "kernel" => FrameKind::Kernel,
                    _language => FrameKind::Jit,
                });
            }
        }
        Ok(FrameKind::Native)
    }

    /// Names of a location, innermost first.
    fn naming(&self, location: &OtlpLocation) -> Result<Naming, ProfileError> {
        let mut names = Vec::with_capacity(location.lines.len());
        for line in &location.lines {
            let table = &self.dictionary.function_table;
            let function = entry(table, "functions", line.function_index)?;
            let name = string(self.dictionary, function.name_strindex)?;
            let system_name = string(self.dictionary, function.system_name_strindex)?;
            let file = string(self.dictionary, function.filename_strindex)?;
            names.push(Location {
                function: if name.is_empty() { system_name } else { name }.to_owned(),
                file: (!file.is_empty()).then(|| file.to_owned()),
                line: u32::try_from(line.line).ok().filter(|line| *line > 0),
            });
        }
        Ok(if names.is_empty() {
            Naming::Unnamed(Reason::NotRecorded)
        } else {
            Naming::Named(names)
        })
    }

    /// Enters what the message says of itself.
    fn finish(mut self, message: &OtlpMessage, value_type: &ValueType) -> Profile {
        let host = self.shared.get(label::HOST).cloned();
        let head = self.builder.head_mut();
        head.host = host.unwrap_or_default();
        head.window.start = Duration::from_nanos(message.time_unix_nano);
        head.window.duration = Duration::from_nanos(message.duration_nano);
        let mut profile = self.builder.finish();
        if value_type.unit == "count" {
            let values = (profile.samples.iter()).filter_map(|sample| sample.values.first());
            profile.quality.samples = values.fold(0, |sum: u64, value| sum.saturating_add(*value));
        }
        profile
    }
}

/// The thread that labels describe.
fn task_of(mut labels: Labels) -> Task {
    let pid = (labels.get(label::PID)).and_then(|pid| pid.parse().ok());
    Task {
        pid: Pid(pid.unwrap_or_default()),
        comm: labels.remove(label::COMM).unwrap_or_default(),
        labels,
        ..Task::default()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::{
        common::v1::{AnyValue, KeyValue, any_value::Value},
        profiles::v1development::{
            Function, KeyValueAndUnit, Line, ResourceProfiles, ScopeProfiles, Stack,
            ValueType as OtlpValueType,
        },
    };
    use prost::Message as _;

    use super::{
        FrameKind, Mapping, Naming, OtlpLocation, OtlpMessage, ProfileError, ProfilesDictionary,
        Request, Resource, Sample, label, read,
    };

    /// A text as a value.
    fn any(text: &str) -> AnyValue {
        let value = Some(Value::StringValue(text.to_owned()));
        AnyValue { value }
    }

    /// Texts that the tables below name by their place.
    const STRINGS: [&str; 9] = [
        "",
        "samples",
        "count",
        "cpu",
        "nanoseconds",
        "/bin/app",
        "main",
        "thread.name",
        "profile.frame.type",
    ];

    /// A row of the table of attributes; its key is a place in the strings.
    fn attribute(key_strindex: i32, text: &str) -> KeyValueAndUnit {
        KeyValueAndUnit {
            key_strindex,
            value: Some(any(text)),
            unit_strindex: 0,
        }
    }

    /// Tables with one stack: `main` of `/bin/app`.
    fn dictionary() -> ProfilesDictionary {
        let mapping = Mapping {
            memory_start: 0x1000,
            file_offset: 0x200,
            filename_strindex: 5,
            ..Mapping::default()
        };
        let location = OtlpLocation {
            mapping_index: 1,
            address: 0x1010,
            lines: vec![Line {
                function_index: 1,
                line: 7,
                column: 0,
            }],
            attribute_indices: vec![2],
        };
        let function = Function {
            name_strindex: 6,
            ..Function::default()
        };
        let stack = Stack {
            location_indices: vec![1],
        };
        ProfilesDictionary {
            mapping_table: vec![Mapping::default(), mapping],
            location_table: vec![OtlpLocation::default(), location],
            function_table: vec![Function::default(), function],
            string_table: STRINGS.map(str::to_owned).to_vec(),
            attribute_table: vec![
                KeyValueAndUnit::default(),
                attribute(7, "worker"),
                attribute(8, "native"),
            ],
            stack_table: vec![Stack::default(), stack],
            ..ProfilesDictionary::default()
        }
    }

    /// A profile of one stack, sampled three times.
    fn profile() -> OtlpMessage {
        let value_type = |type_strindex, unit_strindex| OtlpValueType {
            type_strindex,
            unit_strindex,
        };
        OtlpMessage {
            sample_type: Some(value_type(1, 2)),
            samples: vec![Sample {
                stack_index: 1,
                attribute_indices: vec![1],
                values: vec![],
                timestamps_unix_nano: vec![10, 20, 30],
                ..Sample::default()
            }],
            time_unix_nano: 5_000_000_000,
            duration_nano: 1_000_000_000,
            period_type: Some(value_type(3, 4)),
            period: 50_000_000,
            ..OtlpMessage::default()
        }
    }

    /// A request as an agent sends it: one sample of three in `main` of `/bin/app`.
    fn request() -> Request {
        let service = KeyValue {
            key: "service.name".to_owned(),
            value: Some(any("shop")),
            ..KeyValue::default()
        };
        let resource = Resource {
            attributes: vec![service],
            ..Resource::default()
        };
        let scope = ScopeProfiles {
            profiles: vec![profile()],
            ..ScopeProfiles::default()
        };
        Request {
            resource_profiles: vec![ResourceProfiles {
                resource: Some(resource),
                scope_profiles: vec![scope],
                ..ResourceProfiles::default()
            }],
            dictionary: Some(dictionary()),
        }
    }

    #[test]
    fn a_profile_of_an_agent_is_read() {
        let mut found = read(&request().encode_to_vec()).unwrap();
        assert_eq!(0, found.rejected);
        let read = found.profiles.remove(0);
        assert_eq!(("cpu", 50_000_000), (read.signal.as_str(), read.period_ns));
        let profile = read.profile;
        profile.validate().unwrap();
        assert_eq!(vec![3], profile.samples[0].values);
        let labels = &profile.tasks[0].labels;
        assert_eq!("shop", labels[label::SERVICE]);
        assert_eq!("worker", labels[label::THREAD]);
        let frame = &profile.frames[0];
        assert_eq!((FrameKind::Native, 0x210), (frame.kind, frame.address));
        assert!(matches!(&frame.naming, Naming::Named(names) if names[0].function == "main"));
    }

    #[test]
    fn a_profile_that_does_not_fit_is_left_out_and_counted() {
        let mut request = request();
        let profiles = &mut request.resource_profiles[0].scope_profiles[0].profiles;
        profiles.push(profiles[0].clone());
        profiles[0].samples[0].stack_index = 9;
        let found = read(&request.encode_to_vec()).unwrap();
        assert_eq!((1, 1), (found.profiles.len(), found.rejected));
        let (table, index) = ("stacks", 9);
        assert_eq!(Some(ProfileError::Dangling { table, index }), found.reason);
    }

    #[test]
    fn a_negative_value_is_refused() {
        let mut request = request();
        let profiles = &mut request.resource_profiles[0].scope_profiles[0].profiles;
        profiles[0].samples[0].values = vec![-1];
        let found = read(&request.encode_to_vec()).unwrap();
        assert_eq!(Some(ProfileError::Negative), found.reason);
    }
}
