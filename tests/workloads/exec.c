// Works in `before_exec`, then becomes the program named. Usage: exec SECONDS PROGRAM ARGS...
#include <unistd.h>

#include "spin.h"

APART void before_exec(void) { spin(10 * ROUNDS_PER_MS); }

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	ready();
	while (now_ns() < end)
		before_exec();
	if (argc > 2)
		execv(argv[2], argv + 2);
	return 1;
}
