// Allocates the same number of bytes by each function of an allocator, and frees at once. Prints the
// bytes of one function in the end. Waits before, because an allocator that no other process has is
// probed only when it has been found. Usage: zoo ROUNDS
#include <malloc.h>
#include <unistd.h>

#include "spin.h"

enum { SIZE = 1200 };

APART void *by_malloc(void)
{
	void *memory = malloc(SIZE);
	NOT_A_TAIL_CALL();
	return memory;
}

APART void *by_calloc(void)
{
	void *memory = calloc(SIZE / 8, 8);
	NOT_A_TAIL_CALL();
	return memory;
}

// A third at first, then two thirds more: all of it in bytes asked for.
APART void *by_realloc(void)
{
	void *memory = realloc(realloc(NULL, SIZE / 3), SIZE / 3 * 2);
	NOT_A_TAIL_CALL();
	return memory;
}

APART void *by_alignment(void)
{
	void *memory = aligned_alloc(64, SIZE / 64 * 64 + 64);
	NOT_A_TAIL_CALL();
	return memory;
}

APART void *by_posix(void)
{
	void *memory = NULL;
	if (posix_memalign(&memory, 64, SIZE) != 0)
		abort();
	return memory;
}

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	void *(*functions[])(void) = {by_malloc, by_calloc, by_realloc, by_alignment, by_posix};
	sleep(3);
	for (uint64_t round = 0; round < rounds; round++)
		for (int i = 0; i < 5; i++)
			free(functions[i]());
	printf("%lu\n", rounds * SIZE);
}
