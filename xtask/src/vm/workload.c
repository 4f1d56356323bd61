/* A program with a known answer: main, eight levels of descend, then one of three spinning leaves
 * with 60, 30 and 10 parts of the time. Ends by itself after fifteen seconds:
 * long enough that the start, when an emulated CPU still compiles the tables, is a small part. */

#include <stdint.h>
#include <time.h>

enum { LEVELS = 8, SECONDS = 15 };

static volatile uint64_t sink;

/* A leaf has a variable on its stack, so that it has a frame where frame pointers are asked for. */
#define ON_STACK volatile

/* noipa keeps each function one function: no inlining, no clones, no other names. */
#define ONE_FUNCTION __attribute__((noipa))

#define LEAF(name)                                                                                 \
    ONE_FUNCTION static uint64_t name(uint64_t rounds) {                                           \
        ON_STACK uint64_t value = rounds;                                                          \
        for (uint64_t i = 0; i < rounds; i++) {                                                    \
            value = value * 6364136223846793005u + i;                                              \
        }                                                                                          \
        return value;                                                                              \
    }

LEAF(spin_60)
LEAF(spin_30)
LEAF(spin_10)

ONE_FUNCTION static uint64_t descend(unsigned level, uint64_t unit) {
    uint64_t value;
    if (level > 1) {
        value = descend(level - 1, unit);
    } else {
        value = spin_60(60 * unit) + spin_30(30 * unit) + spin_10(10 * unit);
    }
    /* Something to do after the call keeps recursion from becoming a loop. */
    __asm__ volatile("" : "+r"(value));
    return value;
}

int main(void) {
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        sink += descend(LEVELS, 20000);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec < SECONDS);
    return 0;
}
