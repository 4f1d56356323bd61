// Allocates, forks, allocates in both, and runs another program in the child, over and over; frees
// nothing. Prints the bytes that the parent allocated, all live. Usage: heirs SECONDS
#include <sys/wait.h>
#include <unistd.h>

#include "spin.h"

enum { SIZE = 4000, BEFORE = 20 };

APART void *inherit(void)
{
	void *memory = malloc(SIZE);
	NOT_A_TAIL_CALL();
	return memory;
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv), bytes = 0;
	while (now_ns() < end) {
		void *last = NULL;
		for (int i = 0; i < BEFORE; i++)
			last = inherit();
		bytes += BEFORE * SIZE;
		pid_t child = fork();
		if (child == 0) {
			// The parent's memory, freed in a copy of it, is the parent's still.
			free(last);
			inherit();
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		waitpid(child, NULL, 0);
	}
	printf("%lu\n", bytes);
	fflush(stdout);
	// Interrupted by whoever has seen this, so that what lives still does.
	pause();
}
