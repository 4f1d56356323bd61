//! Tables that other programs print, read by the heads of their columns.

/// A column to show: its head in the printed table, and ours.
pub(crate) type Column = (&'static str, &'static str);

/// Our heads of some columns, behind the one that names the row.
pub(crate) fn heads(first: &'static str, columns: &[Column]) -> Vec<&'static str> {
    let rest = columns.iter().map(|(_theirs, ours)| *ours);
    std::iter::once(first).chain(rest).collect()
}

/// Cells of each line below the line that begins with `first`: those of the first column, then those
/// of `columns`. `None` when a column is missing. Heads and cells are single words.
pub(crate) fn rows_in(text: &str, first: &str, columns: &[Column]) -> Option<Vec<Vec<String>>> {
    let is_head = |line: &str| line.split_whitespace().next() == Some(first);
    let mut lines = text.lines().skip_while(|line| !is_head(line));
    let heads: Vec<&str> = lines.next()?.split_whitespace().collect();
    let places: Vec<usize> = (columns.iter())
        .map(|(name, _ours)| heads.iter().position(|head| head == name))
        .collect::<Option<_>>()?;
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            std::iter::once(&0)
                .chain(&places)
                .map(|place| cells.get(*place).map(|cell| (*cell).to_owned()))
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::rows_in;

    #[test]
    fn figures_are_found_by_the_head_of_their_column() {
        let text = "noise\n\
            file   MB  ms MB/s FDEs rows rules no-rbx rules B/row\n\
            libc  2.0 4.5  444    7  900    10    800     9  4.01\n";
        let columns = [("MB", ""), ("ms", ""), ("B/row", "")];
        assert_eq!(
            rows_in(text, "file", &columns).unwrap(),
            [["libc", "2.0", "4.5", "4.01"]]
        );
        assert!(rows_in("file MB\n", "file", &columns).is_none());
    }
}
