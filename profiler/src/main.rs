//! tmp
fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    use profiler::host::{run::*, probe::*, Shutdown};
    let args: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    let r = record(&RecordOptions{ filter: Filter::default(), unwinding: Unwinding::Tables, rate_hz: 99, duration: Some(std::time::Duration::from_secs(5)), command: (!args.is_empty()).then_some(args), cache_dir: None, inlines: true}, &Shutdown::default(), &mut |_p| {})?;
    let p = &r.profile;
    println!("{:?} {:?} stacks {} frames {}", p.quality, r.cost, p.stacks.len(), p.frames.len());
    if let Some((d,n)) = r.cost.sampler { println!("ns/run {} ns/frame {}", d.as_nanos() as u64/n.max(1), d.as_nanos() as u64/r.cost.frames_walked.max(1)); }
    let mut s: Vec<_> = p.samples.iter().collect(); s.sort_by_key(|s| std::cmp::Reverse(s.values[0]));
    for s in s.iter().take(12) { let t = p.task(s.task).unwrap(); print!("{} {}: ", s.values[0], t.comm); for f in &p.stack(s.stack).unwrap().frames { let f = p.frame(*f).unwrap(); print!(" {}+{:#x}", f.object.map_or("-", |o| p.object(o).unwrap().file_name()), f.address);} println!(); }
    Ok(())
}
