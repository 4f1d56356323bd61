// A process that lives for a while and ends. Usage: short MILLISECONDS
#include "spin.h"

APART void short_work(uint64_t rounds) { spin(rounds); }

int main(int argc, char **argv)
{
	short_work((argc > 1 ? (uint64_t)atol(argv[1]) : 10) * ROUNDS_PER_MS);
	return 0;
}
