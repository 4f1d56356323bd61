// The split of split.c in C++: a namespace, a class with virtual methods, a template.
// Usage: split SECONDS
#include "spin.h"

namespace work {

class Leaf {
public:
	virtual ~Leaf() = default;
	virtual void run() = 0;
};

template <unsigned long Milliseconds> class Spinner : public Leaf {
public:
	APART void run() override { spin(Milliseconds * ROUNDS_PER_MS); }
};

APART void heavy(Leaf &leaf) { leaf.run(); NOT_A_TAIL_CALL(); }
APART void medium(Leaf &leaf) { leaf.run(); NOT_A_TAIL_CALL(); }
APART void light(Leaf &leaf) { leaf.run(); NOT_A_TAIL_CALL(); }

APART void descend(int depth)
{
	if (depth > 1) {
		descend(depth - 1);
	} else {
		Spinner<60> sixty;
		Spinner<30> thirty;
		Spinner<10> ten;
		heavy(sixty);
		medium(thirty);
		light(ten);
	}
	NOT_A_TAIL_CALL();
}

} // namespace work

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	ready();
	while (now_ns() < end)
		work::descend(20);
	return 0;
}
