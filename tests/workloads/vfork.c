// Children that borrow the memory of their parent (vfork) do all of the work. Usage: vfork SECONDS
#define _GNU_SOURCE
#include <sys/wait.h>
#include <unistd.h>

#include "spin.h"

APART void borrowed_work(void) { spin(20 * ROUNDS_PER_MS); }

APART void with_child(void)
{
	pid_t child = vfork();
	if (child == 0) {
		borrowed_work();
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	ready();
	while (now_ns() < end)
		with_child();
	return 0;
}
