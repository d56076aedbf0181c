/*
 * Uses memory inside a test guest. Needs no libc: built with
 * -static -nostdlib -ffreestanding.
 *
 *   mem touch MIB   writes to every page of MIB MiB of anonymous memory, then gives it back
 *   mem hold MIB    fills MIB MiB with data of its own, then waits for signals:
 *                   USR1: compares every byte and prints "intact" or "damaged"; TERM: ends
 *   mem comb MIB    as hold, but gives every other page back first: what is held has free neighbours
 *   mem churn MIB [SEED]
 *                   takes and gives back blocks of many sizes, in waves between little and MIB MiB, until a signal comes.
 *                   Fills each with data of its own and compares every byte before it goes, and at the end. USR1: prints
 *                   "CHECKED MiB intact" and goes on; TERM: does so and ends. A difference ends it at once
 *   mem lent MIB    counts the balloon's pages in each block of MIB MiB of physical memory, and prints them in a line
 *
 * touch, hold and comb print "PAGES pages, HIGH above 4 GiB" when the memory is
 * in use. HIGH goes by physical addresses, as /proc/self/pagemap tells root, and
 * lent by /proc/kpageflags (Documentation/admin-guide/mm/pagemap.rst).
 */
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/signal.h>
#include <sys/mman.h>

typedef unsigned long u64;

#define PAGE 4096UL
#define WORDS (PAGE / sizeof(u64))
#define PFN_MASK ((1UL << 55) - 1)
#define PFN_4G (1UL << 20)
#define FLAG_OFFLINE (1UL << 23) /* KPF_OFFLINE of <linux/kernel-page-flags.h>: what the balloon's pages are */
#define BATCH 512UL

static long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return result;
}

static void print(const char *text)
{
	long length = 0;
	while (text[length])
		length++;
	call(__NR_write, 1, (long)text, length, 0, 0, 0);
}

static void print_number(u64 number)
{
	char digits[24];
	char *at = digits + sizeof digits - 1;
	*at = 0;
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	print(at);
}

static _Noreturn void leave(int status)
{
	for (;;)
		call(__NR_exit_group, status, 0, 0, 0, 0, 0);
}

static _Noreturn void die(const char *why)
{
	print("mem: ");
	print(why);
	print("\n");
	leave(1);
}

/* Differs from word to word, so that pages that were swapped or shifted are seen too. */
static u64 pattern(u64 word)
{
	u64 x = (word + 1) * 0x9E3779B97F4A7C15UL;
	return x ^ (x >> 29);
}

static u64 count_above_4g(u64 *memory, u64 pages)
{
	static u64 entries[BATCH];
	u64 high = 0;
	long fd = call(__NR_open, (long)"/proc/self/pagemap", O_RDONLY, 0, 0, 0, 0);
	if (fd < 0)
		die("cannot open /proc/self/pagemap");
	for (u64 done = 0; done < pages; done += BATCH) {
		u64 n = pages - done < BATCH ? pages - done : BATCH;
		u64 offset = ((u64)memory / PAGE + done) * sizeof entries[0];
		if (call(__NR_pread64, fd, (long)entries, (long)(n * sizeof entries[0]), (long)offset, 0, 0) != (long)(n * sizeof entries[0]))
			die("cannot read /proc/self/pagemap");
		for (u64 i = 0; i < n; i++)
			high += (entries[i] & PFN_MASK) >= PFN_4G;
	}
	call(__NR_close, fd, 0, 0, 0, 0, 0);
	return high;
}

static void report(u64 *memory, u64 pages)
{
	print_number(pages);
	print(" pages, ");
	print_number(count_above_4g(memory, pages));
	print(" above 4 GiB\n");
}

/* One word a page is enough: the kernel has to find a page for it, and has zeroed that. */
static void touch(volatile u64 *memory, u64 pages)
{
	for (u64 page = 0; page < pages; page++)
		memory[page * WORDS] = pattern(page);
	for (u64 page = 0; page < pages; page++)
		if (memory[page * WORDS] != pattern(page))
			die("a page lost what was written to it");
	report((u64 *)memory, pages);
}

/* Every `step`th page is held. */
static int is_intact(const u64 *memory, u64 pages, u64 step)
{
	for (u64 page = 0; page < pages; page += step)
		for (u64 word = page * WORDS; word < (page + 1) * WORDS; word++)
			if (memory[word] != pattern(word))
				return 0;
	return 1;
}

static _Noreturn void hold(u64 *memory, u64 pages, u64 step)
{
	u64 signals = 1UL << (SIGUSR1 - 1) | 1UL << (SIGTERM - 1);
	call(__NR_rt_sigprocmask, SIG_BLOCK, (long)&signals, 0, sizeof signals, 0, 0);
	/* Small pages only: the kernel would not split a huge one at once. */
	if (step > 1 && call(__NR_madvise, (long)memory, (long)(pages * PAGE), MADV_NOHUGEPAGE, 0, 0, 0) < 0)
		die("cannot turn huge pages off");
	for (u64 word = 0; word < pages * WORDS; word++)
		memory[word] = pattern(word);
	for (u64 page = 1; step > 1 && page < pages; page += step)
		call(__NR_madvise, (long)(memory + page * WORDS), PAGE, MADV_DONTNEED, 0, 0, 0);
	report(memory, pages);
	for (;;) {
		long signal = call(__NR_rt_sigtimedwait, (long)&signals, 0, 0, sizeof signals, 0, 0);
		if (signal == SIGTERM)
			leave(0);
		if (signal == SIGUSR1)
			print(is_intact(memory, pages, step) ? "intact\n" : "damaged\n");
	}
}

/* ---- Churn --------------------------------------------------------------- */

#define N_BLOCKS 1024UL
#define BLOCK_MAX_PAGES 2048UL
#define STEP 0x9E3779B97F4A7C15UL

struct block {
	u64 *memory; /* NULL: not in use */
	u64 pages;
	u64 first; /* the first word in it; each next one is larger by STEP. Cheap to make, so that most of the time goes to the kernel */
};

static struct churn {
	struct block blocks[N_BLOCKS];
	u64 used_pages;
	u64 checked_pages;
	u64 seed;
} churn;

/* xorshift64: the same blocks each time, for all that a seed can do about it. */
static u64 below(u64 limit)
{
	churn.seed ^= churn.seed << 13;
	churn.seed ^= churn.seed >> 7;
	churn.seed ^= churn.seed << 17;
	return churn.seed % limit;
}

static u64 *map(u64 pages)
{
	long memory = call(__NR_mmap, 0, (long)(pages * PAGE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory < 0 && memory > -4096)
		die("cannot map that much");
	return (u64 *)memory;
}

/* Small and large blocks alike: each power of two up to the largest is as likely. */
static void fill_block(struct block *block)
{
	block->pages = 1 + below(BLOCK_MAX_PAGES >> below(12));
	block->first = below(~0UL);
	block->memory = map(block->pages);
	u64 value = block->first;
	for (u64 word = 0; word < block->pages * WORDS; word++, value += STEP)
		block->memory[word] = value;
	churn.used_pages += block->pages;
}

static void check_block(const struct block *block)
{
	u64 value = block->first;
	for (u64 word = 0; word < block->pages * WORDS; word++, value += STEP) {
		if (block->memory[word] == value)
			continue;
		print("damaged: page ");
		print_number(word / WORDS);
		print(" of ");
		print_number(block->pages);
		print(block->memory[word] ? ", other data\n" : ", zeroed\n");
		leave(1);
	}
	churn.checked_pages += block->pages;
}

static void free_block(struct block *block)
{
	check_block(block);
	call(__NR_munmap, (long)block->memory, (long)(block->pages * PAGE), 0, 0, 0, 0);
	churn.used_pages -= block->pages;
	block->memory = 0;
}

static void answer(u64 signals)
{
	struct {
		long seconds, nanoseconds;
	} now = {0, 0};
	long signal = call(__NR_rt_sigtimedwait, (long)&signals, 0, (long)&now, sizeof signals, 0, 0);
	if (signal != SIGUSR1 && signal != SIGTERM)
		return;
	for (u64 i = 0; i < N_BLOCKS; i++)
		if (churn.blocks[i].memory)
			check_block(&churn.blocks[i]);
	print_number(churn.checked_pages >> 8);
	print(" MiB intact\n");
	if (signal == SIGTERM)
		leave(0);
}

static _Noreturn void run_churn(u64 most_pages, u64 seed)
{
	u64 signals = 1UL << (SIGUSR1 - 1) | 1UL << (SIGTERM - 1);
	call(__NR_rt_sigprocmask, SIG_BLOCK, (long)&signals, 0, sizeof signals, 0, 0);
	churn.seed = (seed + 1) * STEP;
	for (;;) {
		u64 high = most_pages - below(most_pages / 4), low = below(most_pages / 4);
		while (churn.used_pages + BLOCK_MAX_PAGES < high) {
			struct block *block = &churn.blocks[below(N_BLOCKS)];
			if (block->memory)
				free_block(block);
			fill_block(block);
			answer(signals);
		}
		while (churn.used_pages > low) {
			struct block *block = &churn.blocks[below(N_BLOCKS)];
			if (block->memory)
				free_block(block);
			answer(signals);
		}
	}
}

/* ---- What is in the balloon ---------------------------------------------- */

/* Of the pages from `first`; 0 where there is none. `*end`: there is no page from there on. */
static u64 count_lent(long fd, u64 first, u64 pages, int *end)
{
	static u64 flags[BATCH];
	u64 lent = 0;
	for (u64 done = 0; done < pages && !*end; done += BATCH) {
		long got = call(__NR_pread64, fd, (long)flags, sizeof flags, (long)((first + done) * sizeof flags[0]), 0, 0);
		if (got < 0)
			die("cannot read /proc/kpageflags");
		*end = got < (long)sizeof flags;
		for (u64 i = 0; i < (u64)got / sizeof flags[0]; i++)
			lent += (flags[i] & FLAG_OFFLINE) != 0;
	}
	return lent;
}

static void count_blocks(u64 block_pages)
{
	int end = 0;
	long fd = call(__NR_open, (long)"/proc/kpageflags", O_RDONLY, 0, 0, 0, 0);
	if (fd < 0)
		die("cannot open /proc/kpageflags");
	for (u64 first = 0; !end; first += block_pages) {
		print_number(count_lent(fd, first, block_pages, &end));
		print(end ? "\n" : " ");
	}
}

static u64 parse(const char *digits)
{
	u64 number = 0;
	for (; *digits >= '0' && *digits <= '9'; digits++)
		number = number * 10 + (u64)(*digits - '0');
	return number;
}

static int is(const char *word, const char *name)
{
	while (*word && *word == *name)
		word++, name++;
	return *word == *name;
}

/* The stack at entry: argc, argv[0], ... (System V ABI for x86-64, section 3.4.1). */
__attribute__((used)) static _Noreturn void start(long *stack)
{
	char **argv = (char **)(stack + 1);
	int churns = stack[0] >= 3 && is(argv[1], "churn");
	if (stack[0] != 3 && !(churns && stack[0] == 4))
		die("usage: mem touch|hold|comb|churn|lent MIB, mem churn MIB SEED");
	u64 pages = parse(argv[2]) << 8;
	if (pages == 0)
		die("MIB is not a number above 0");
	if (is(argv[1], "lent")) {
		count_blocks(pages);
		leave(0);
	}
	if (churns)
		run_churn(pages, stack[0] == 4 ? parse(argv[3]) : 0);
	if (is(argv[1], "hold"))
		hold(map(pages), pages, 1);
	if (is(argv[1], "comb"))
		hold(map(pages), pages, 2);
	if (!is(argv[1], "touch"))
		die("there are touch, hold, comb, churn and lent");
	touch(map(pages), pages);
	leave(0);
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
