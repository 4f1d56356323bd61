//! The split of split.c in Rust. Usage: split SECONDS

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// About a millisecond on a CPU of 3 GHz. Only ratios of it matter.
const ROUNDS_PER_MS: u64 = 750_000;

/// Multiplies in a chain, so that the time is the number of rounds.
#[inline(always)]
fn spin(rounds: u64, step: u64) {
    let mut value = rounds;
    for _ in 0..rounds {
        value = black_box(
            value
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(step),
        );
    }
}

// Three different steps, or the compiler would merge the three functions into one.
#[inline(never)]
fn heavy() {
    spin(60 * ROUNDS_PER_MS, 1);
}

#[inline(never)]
fn medium() {
    spin(30 * ROUNDS_PER_MS, 3);
}

#[inline(never)]
fn light() {
    spin(10 * ROUNDS_PER_MS, 5);
}

#[inline(never)]
fn descend(depth: u32) {
    if depth > 1 {
        descend(depth - 1);
    } else {
        heavy();
        medium();
        light();
    }
    // Keeps the call above from becoming a jump.
    black_box(depth);
}

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1.0);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    println!("ready");
    while Instant::now() < end {
        descend(black_box(20));
    }
}
