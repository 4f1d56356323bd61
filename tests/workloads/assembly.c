// Runs the functions of assembly.S for equal times. Usage: assembly SECONDS
#include "spin.h"

void pushes_between(uint64_t rounds);
void cfa_from_rbx(uint64_t rounds);
void cfa_from_memory(uint64_t rounds);
void cfa_from_r10(uint64_t rounds);
void frame_pointer_only(uint64_t rounds);

APART void in_turn(void)
{
	// Three loops of a third each.
	pushes_between(ROUNDS_PER_MS / 3);
	cfa_from_rbx(ROUNDS_PER_MS);
	cfa_from_memory(ROUNDS_PER_MS);
	cfa_from_r10(ROUNDS_PER_MS);
	frame_pointer_only(ROUNDS_PER_MS);
	NOT_A_TAIL_CALL();
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	ready();
	while (now_ns() < end)
		in_turn();
	return 0;
}
