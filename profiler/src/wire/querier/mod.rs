//! Questions and answers as Grafana's data source for Pyroscope exchanges them.
//!
//! Job: the messages of `querier.v1.QuerierService`, as protobuf and as JSON. In: bytes. Out:
//! values. **Invariant:** numbers and names of fields are those of the protocol; what we do not
//! answer is left out and skipped when it is read.

mod answer;
mod json;
mod question;

pub use self::{
    answer::{
        DiffAnswer, FlameGraph, FlameGraphAnswer, FlameGraphDiff, Label, LabelSet, Level, Line,
        Names, Point, ProfileKind, ProfileKinds, SeriesAnswer, TrendAnswer,
    },
    question::{AskDiff, AskKinds, AskMerged, AskNames, AskSeries, AskTrend, AskValues},
};

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::{AskMerged, FlameGraph, Level};

    #[test]
    fn whole_numbers_are_texts_in_json_and_are_read_either_way() {
        let texts = r#"{"profileTypeID":"a:b:c:d:e","start":"1700000000000","end":1700000010000}"#;
        let asked: AskMerged = serde_json::from_str(texts).unwrap();
        assert_eq!(
            (1_700_000_000_000, 1_700_000_010_000),
            (asked.start, asked.end)
        );
        assert_eq!(None, asked.max_nodes);
        let graph = FlameGraph {
            names: vec!["total".to_owned()],
            levels: vec![Level {
                values: vec![0, 5, 5, 0],
            }],
            total: 5,
            max_self: 5,
        };
        assert_eq!(
            r#"{"names":["total"],"levels":[{"values":["0","5","5","0"]}],"total":"5","maxSelf":"5"}"#,
            serde_json::to_string(&graph).unwrap()
        );
    }

    #[test]
    fn fields_have_the_numbers_of_the_protocol() {
        let asked = AskMerged {
            profile_type_id: "t".to_owned(),
            label_selector: "{}".to_owned(),
            start: 1,
            end: 2,
            max_nodes: Some(3),
        };
        let bytes = b"\x0a\x01t\x12\x02{}\x18\x01\x20\x02\x28\x03";
        assert_eq!(&bytes[..], asked.encode_to_vec());
        // A field of a later release is skipped.
        let later = [&bytes[..], b"\x30\x01"].concat();
        assert_eq!(asked, AskMerged::decode(&later[..]).unwrap());
    }
}
