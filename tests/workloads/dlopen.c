// The first half of the time in `before_load`, the second in a library loaded only then: `plugin_work`
// of the file named. Usage: dlopen SECONDS LIBRARY
#include <dlfcn.h>

#include "spin.h"

APART void before_load(void) { spin(10 * ROUNDS_PER_MS); }

APART void call_plugin(void (*work)(void))
{
	work();
	NOT_A_TAIL_CALL();
}

int main(int argc, char **argv)
{
	uint64_t start = now_ns();
	uint64_t end = end_ns(argc, argv);
	ready();
	while (now_ns() < start + (end - start) / 2)
		before_load();
	void *library = argc > 2 ? dlopen(argv[2], RTLD_NOW) : NULL;
	if (library == NULL)
		return 1;
	void (*work)(void) = (void (*)(void))dlsym(library, "plugin_work");
	while (now_ns() < end)
		call_plugin(work);
	return 0;
}
