// The library that plt.c calls.
long tiny_one(long value) { return value + 1; }
long tiny_two(long value) { return value ^ 2; }
long tiny_three(long value) { return value - 3; }
