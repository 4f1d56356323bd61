// A service's code: sixty functions that cost what the ranks of a hundred give them, a few much and most
// little, and one more, which costs as much of a hundred as the caller says. Usage: versions SECONDS COST
#include "spin.h"

// A thousandth of a hundred, about a microsecond.
#define ROUNDS_PER_PART (ROUNDS_PER_MS / 1000)

// Parts of a thousand: 951 together.
#define OTHERS(each) \
	each(1, 203) each(2, 101) each(3, 68) each(4, 51) each(5, 41) each(6, 34) \
	each(7, 29) each(8, 25) each(9, 23) each(10, 20) each(11, 18) each(12, 17) \
	each(13, 16) each(14, 14) each(15, 14) each(16, 13) each(17, 12) each(18, 11) \
	each(19, 11) each(20, 10) each(21, 10) each(22, 9) each(23, 9) each(24, 8) \
	each(25, 8) each(26, 8) each(27, 8) each(28, 7) each(29, 7) each(30, 7) \
	each(31, 7) each(32, 6) each(33, 6) each(34, 6) each(35, 6) each(36, 6) \
	each(37, 5) each(38, 5) each(39, 5) each(40, 5) each(41, 5) each(42, 5) \
	each(43, 5) each(44, 5) each(45, 5) each(46, 4) each(47, 4) each(48, 4) \
	each(49, 4) each(50, 4) each(51, 4) each(52, 4) each(53, 4) each(54, 4) \
	each(55, 4) each(56, 4) each(57, 4) each(58, 3) each(59, 3) each(60, 3)

// The loop of `spin` in the function's own lines, so that its time is the function's own.
#define WORK(rounds) \
	uint64_t value = (rounds); \
	for (uint64_t round = 0; round < (rounds); round++) { \
		value = value * 6364136223846793005ul + 1442695040888963407ul; \
		__asm__ volatile("" : "+r"(value)); \
	}

#define DEFINE(number, parts) APART void f##number(void) { WORK(parts * ROUNDS_PER_PART) }
OTHERS(DEFINE)

APART void changed(uint64_t rounds) { WORK(rounds) }

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	double cost = argc > 2 ? atof(argv[2]) : 5.0;
	uint64_t rounds = (uint64_t)(cost * 10 * ROUNDS_PER_PART);
	while (now_ns() < end) {
#define CALL(number, parts) f##number();
		OTHERS(CALL)
		changed(rounds);
	}
	return 0;
}
