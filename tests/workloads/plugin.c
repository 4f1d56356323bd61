// The library that dlopen.c loads.
#include "spin.h"

APART void plugin_inner(void) { spin(10 * ROUNDS_PER_MS); }

APART void plugin_work(void)
{
	plugin_inner();
	NOT_A_TAIL_CALL();
}
