// Frames that a fixed offset from the stack pointer does not describe: one that realigns the stack, one
// of variable size, one larger than 32 KiB. `leaf` runs below each alone and below all three.
// Usage: frames SECONDS
#include <alloca.h>
#include <string.h>

#include "spin.h"

typedef void (*callee)(void);

// Keeps the compiler from removing memory that nobody reads.
#define KEEP(memory) __asm__ volatile("" : : "r"(memory) : "memory")

APART void leaf(void) { spin(ROUNDS_PER_MS); }

// Arguments on the stack, an alignment greater than the stack's and a variable size together make the
// compiler keep the argument pointer in a register and save it: the CFA becomes an expression.
APART void realigned(callee next, long a, long b, long c, long d, long e, long on_stack)
{
	char aligned[64] __attribute__((aligned(64)));
	char *variable = alloca((size_t)on_stack);
	memset(aligned, (int)(a + b + c + d + e), sizeof aligned);
	variable[0] = aligned[1];
	KEEP(aligned);
	KEEP(variable);
	next();
	KEEP(aligned);
}

APART void variable(size_t size_bytes, callee next)
{
	char *memory = alloca(size_bytes);
	memory[0] = 1;
	KEEP(memory);
	next();
	KEEP(memory);
}

APART void large(callee next)
{
	char memory[40 * 1024];
	memory[0] = 1;
	KEEP(memory);
	next();
	KEEP(memory);
}

APART void large_then_leaf(void)
{
	large(leaf);
	NOT_A_TAIL_CALL();
}

APART void variable_then_large(void)
{
	variable(300, large_then_leaf);
	NOT_A_TAIL_CALL();
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	ready();
	while (now_ns() < end) {
		realigned(leaf, 1, 2, 3, 4, 5, 100);
		variable(200, leaf);
		large(leaf);
		realigned(variable_then_large, 1, 2, 3, 4, 5, 100);
	}
	return 0;
}
