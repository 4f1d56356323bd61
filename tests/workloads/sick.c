// Programs with one thing wrong each, and programs with nothing wrong. Usage: sick SECONDS MODE
#define _GNU_SOURCE
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "spin.h"

// What `spin` does, in the function that uses it: an inlined function would be the one that is found.
#define SPIN(rounds) \
	do { \
		uint64_t value = (rounds); \
		for (uint64_t round = (rounds); 0 < round; round--) { \
			value = value * 6364136223846793005ul + 1442695040888963407ul; \
			__asm__ volatile("" : "+r"(value)); \
		} \
	} while (0)

static uint64_t end;

static int goes_on(void) { return now_ns() < end; }

// Functions that take an equal, small part each.
#define PART(name) \
	APART void name(uint64_t rounds) { SPIN(rounds); }
PART(part0) PART(part1) PART(part2) PART(part3) PART(part4) PART(part5)
PART(part6) PART(part7) PART(part8) PART(part9) PART(part10) PART(part11)
PART(step0) PART(step1) PART(step2) PART(step3) PART(step4) PART(step5)
PART(step6) PART(step7) PART(step8) PART(step9) PART(step10) PART(step11)

APART void all_steps(uint64_t rounds)
{
	step0(rounds); step1(rounds); step2(rounds); step3(rounds);
	step4(rounds); step5(rounds); step6(rounds); step7(rounds);
	step8(rounds); step9(rounds); step10(rounds); step11(rounds);
	NOT_A_TAIL_CALL();
}

// hot_function: three quarters are in `checksum`.
APART void checksum(void) { SPIN(9 * ROUNDS_PER_MS); }

static void hot_function(void)
{
	while (goes_on()) {
		checksum();
		all_steps(ROUNDS_PER_MS / 4);
	}
}

// hot_path: two thirds are below `report`, spread over twelve functions.
APART void report(void)
{
	part0(ROUNDS_PER_MS); part1(ROUNDS_PER_MS); part2(ROUNDS_PER_MS); part3(ROUNDS_PER_MS);
	part4(ROUNDS_PER_MS); part5(ROUNDS_PER_MS); part6(ROUNDS_PER_MS); part7(ROUNDS_PER_MS);
	part8(ROUNDS_PER_MS); part9(ROUNDS_PER_MS); part10(ROUNDS_PER_MS); part11(ROUNDS_PER_MS);
	NOT_A_TAIL_CALL();
}

APART void handle(void)
{
	report();
	all_steps(ROUNDS_PER_MS / 2);
	NOT_A_TAIL_CALL();
}

static void hot_path(void)
{
	while (goes_on())
		handle();
}

// lock_convoy: four threads want one lock, under which `copy_table` takes long.
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

APART void copy_table(void) { SPIN(2 * ROUNDS_PER_MS); }

APART void update(void)
{
	pthread_mutex_lock(&table_lock);
	copy_table();
	pthread_mutex_unlock(&table_lock);
}

APART void *contend(void *nothing)
{
	while (goes_on()) {
		update();
		all_steps(ROUNDS_PER_MS / 60);
	}
	return nothing;
}

// run_queue: four busy threads for each CPU.
APART void *crunch(void *nothing)
{
	while (goes_on())
		all_steps(ROUNDS_PER_MS);
	return nothing;
}

// one_busy_thread, and a pool that has little to do: threads that wait for work.
static pthread_mutex_t work_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_there = PTHREAD_COND_INITIALIZER;
static int work, is_over;

APART void *wait_for_work(void *name)
{
	pthread_setname_np(pthread_self(), name);
	for (;;) {
		pthread_mutex_lock(&work_lock);
		while (work == 0 && !is_over)
			pthread_cond_wait(&work_there, &work_lock);
		work = 0;
		pthread_mutex_unlock(&work_lock);
		if (is_over)
			return NULL;
		all_steps(ROUNDS_PER_MS / 12);
	}
}

static void hand_out(void)
{
	pthread_mutex_lock(&work_lock);
	work = 1;
	pthread_cond_signal(&work_there);
	pthread_mutex_unlock(&work_lock);
}

static void finish(void)
{
	pthread_mutex_lock(&work_lock);
	is_over = 1;
	pthread_cond_broadcast(&work_there);
	pthread_mutex_unlock(&work_lock);
}

APART void coordinate(void) { SPIN(20 * ROUNDS_PER_MS); }

static void in_threads(int count, void *(*run)(void *))
{
	pthread_t threads[count];
	for (int index = 0; index < count; index++)
		pthread_create(&threads[index], NULL, run, NULL);
	for (int index = 0; index < count; index++)
		pthread_join(threads[index], NULL);
}

static void with_pool(int is_busy)
{
	static const char *names[4] = {"w0", "w1", "w2", "w3"};
	pthread_t threads[4];
	for (int index = 0; index < 4; index++)
		pthread_create(&threads[index], NULL, wait_for_work, (void *)names[index]);
	while (goes_on()) {
		if (is_busy)
			coordinate();
		else
			usleep(5000);
		hand_out();
	}
	finish();
	for (int index = 0; index < 4; index++)
		pthread_join(threads[index], NULL);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[2] : "healthy_even";
	int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	end = end_ns(argc, argv);
	ready();
	if (!strcmp(mode, "hot_function"))
		hot_function();
	else if (!strcmp(mode, "hot_path"))
		hot_path();
	else if (!strcmp(mode, "lock_convoy"))
		in_threads(4, contend);
	else if (!strcmp(mode, "run_queue"))
		in_threads(4 * cpus, crunch);
	else if (!strcmp(mode, "one_busy_thread"))
		with_pool(1);
	else if (!strcmp(mode, "healthy_pool"))
		with_pool(0);
	else
		crunch(NULL);
	return 0;
}
