// A timer interrupts `interrupted` anywhere in its code; nearly all of the time is in `handler`.
// With "alternate", the handler has a stack of its own, further up in memory than the frames that were
// interrupted. Usage: signal SECONDS [alternate]
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "spin.h"

APART void in_handler(void) { spin(8 * ROUNDS_PER_MS); }

APART void handler(int number)
{
	(void)number;
	in_handler();
	NOT_A_TAIL_CALL();
}

APART void interrupted(uint64_t end)
{
	while (now_ns() < end)
		spin(ROUNDS_PER_MS / 100);
}

APART void caller_of_interrupted(uint64_t end)
{
	interrupted(end);
	NOT_A_TAIL_CALL();
}

APART void start_timer(int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags | SA_RESTART};
	sigaction(SIGALRM, &action, NULL);
	struct itimerval every_10_ms = {{0, 10000}, {0, 10000}};
	setitimer(ITIMER_REAL, &every_10_ms, NULL);
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	// In the frame of main, so above every frame that the timer can interrupt.
	char memory[64 * 1024];
	stack_t alternate = {.ss_sp = memory, .ss_size = sizeof memory};
	int own_stack = argc > 2 && strcmp(argv[2], "alternate") == 0;
	if (own_stack)
		sigaltstack(&alternate, NULL);
	start_timer(own_stack ? SA_ONSTACK : 0);
	ready();
	caller_of_interrupted(end);
	return 0;
}
