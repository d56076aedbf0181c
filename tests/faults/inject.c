/*
 * Makes calls of a program fail that is loaded with this library (LD_PRELOAD).
 *
 * A point is a place in the program or in a library from which a call is made,
 * and how often it was made from there before. FAULTS_TABLE names a file of
 * sizeof(struct table) zeros: in it each place is counted, and what memory is
 * held. FAULTS_PLAN lists what is to fail; without it all calls are but counted:
 *
 *   CALL MODULE OFFSET DETAIL FIRST LAST ERRNO MODE, and so on after a ';'
 *
 * Calls FIRST to LAST from there fail. MODE is "once"; "on": from then on
 * everything of its kind (memory, file descriptors) fails too; or "late": what
 * was asked for is done, and then said to have failed.
 *
 * FAULTS_LOCK="OFFSET LEN" locks that much of guest RAM: of what is mapped over
 * a reservation (MAP_FIXED).
 *
 * Counting makes no system call, so it goes on inside the program's sandbox.
 * Other programs that this one starts are left alone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/calls.h"

#define MAX_SITES 4096
#define MAX_HELD 65536
#define MAX_MODULES 32
#define MAX_PLANS 4
#define MAX_FDS 256
#define NAME_LEN 32
#define STREAM_HAS_FAILED 0x20 /* what ferror() of glibc looks at */
#define WAS_TAKEN 1	       /* no address: whoever came later may lie behind it */

/* tests/faults/table.py reads these. */
struct site {
	char call[NAME_LEN];
	char module[NAME_LEN];
	uint64_t offset, detail;
	_Atomic uint64_t count;
	uint64_t failed;
	uintptr_t address; /* 0: free */
	uint64_t held;	   /* blocks from here that are not freed */
};

struct table {
	uint64_t pid;	/* of who counts here, once it does */
	uint64_t n_fds; /* that are open at its end */
	struct site sites[MAX_SITES];
};

static const struct {
	const char *name;
	enum returns returns;
	enum takes takes;
	int detail;
} calls[N_CALLS] = {
#define X(name, returns, takes, detail) {#name, returns, takes, detail},
	CALLS(X)
#undef X
};

struct plan {
	char call[NAME_LEN], module[NAME_LEN], mode[8];
	uint64_t offset, detail, first, last;
	int error;
};

struct module {
	char name[NAME_LEN];
	uintptr_t base, end;
};

/* The only program that this library is part of: there is nobody to hand it in. */
static struct table *table;
static struct plan plans[MAX_PLANS];
static size_t n_plans;
static struct module modules[MAX_MODULES];
static size_t n_modules;
static bool armed; /* main() runs */
static struct {
	size_t offset, len;
} locked;
static bool all_fails[3]; /* by enum takes */
static atomic_flag lock = ATOMIC_FLAG_INIT;
static struct {
	uintptr_t address; /* 0: free */
	struct site *site;
} held[MAX_HELD];

/* ---- What is held ---------------------------------------------------- */

/* No mutex: that of a thread that waits would be a system call. */
static void take_lock(void)
{
	while (atomic_flag_test_and_set(&lock))
		;
}

static size_t slot_of(uintptr_t address)
{
	return (address * 0x9E3779B97F4A7C15) >> 48;
}

static void hold(uintptr_t address, struct site *site)
{
	size_t slot = slot_of(address);
	take_lock();
	while (held[slot].address > WAS_TAKEN)
		slot = (slot + 1) % MAX_HELD;
	held[slot].address = address;
	held[slot].site = site;
	site->held++;
	atomic_flag_clear(&lock);
}

/* Returns who held it, NULL for nobody that is known. */
static struct site *let_go(uintptr_t address)
{
	struct site *holder = NULL;
	take_lock();
	for (size_t slot = slot_of(address); held[slot].address && !holder; slot = (slot + 1) % MAX_HELD)
		if (held[slot].address == address) {
			held[slot].address = WAS_TAKEN;
			holder = held[slot].site;
			holder->held--;
		}
	atomic_flag_clear(&lock);
	return holder;
}

static bool gives_memory(enum call call)
{
	return call == CALL_malloc || call == CALL_calloc || call == CALL_realloc || call == CALL_mmap;
}

/* Before the call: once it is made another thread may get the same address. */
static struct site *before(enum call call, const long args[7])
{
	bool takes = call == CALL_free || call == CALL_munmap || call == CALL_realloc;
	return takes && args[0] ? let_go((uintptr_t)args[0]) : NULL;
}

static void after(enum call call, struct site *site, struct site *holder, const long args[7], long ret)
{
	bool failed = ret == 0 || ret == -1;
	if (call == CALL_mmap && !failed && args[3] & MAP_FIXED && locked.len && mlock((char *)ret + locked.offset, locked.len) < 0)
		_exit(EXIT_FAILURE);
	if (gives_memory(call) && !failed)
		hold((uintptr_t)ret, site);
	else if (call == CALL_realloc && holder)
		hold((uintptr_t)args[0], holder);
}

/* ---- Places ---------------------------------------------------------- */

static const struct module *module_of(uintptr_t address)
{
	for (size_t i = 0; i < n_modules; i++)
		if (address >= modules[i].base && address < modules[i].end)
			return &modules[i];
	return NULL;
}

static struct site *site_of(enum call call, uintptr_t address, uint64_t detail)
{
	const struct module *module = module_of(address);
	if (!module)
		return NULL;
	size_t slot = (address * 31 + detail) % MAX_SITES;
	take_lock();
	struct site *site = &table->sites[slot];
	while (site->address && (site->address != address || site->detail != detail || strcmp(site->call, calls[call].name) != 0)) {
		slot = (slot + 1) % MAX_SITES;
		site = &table->sites[slot];
	}
	if (!site->address) {
		snprintf(site->call, sizeof site->call, "%s", calls[call].name);
		snprintf(site->module, sizeof site->module, "%s", module->name);
		site->offset = address - module->base;
		site->detail = detail;
		site->address = address;
	}
	atomic_flag_clear(&lock);
	return site;
}

/* ---- Failing --------------------------------------------------------- */

static const struct plan *plan_for(const struct site *site, uint64_t nth)
{
	for (size_t i = 0; i < n_plans; i++) {
		const struct plan *plan = &plans[i];
		if (nth >= plan->first && nth <= plan->last && plan->offset == site->offset && plan->detail == site->detail &&
		    strcmp(plan->call, site->call) == 0 && strcmp(plan->module, site->module) == 0)
			return plan;
	}
	return NULL;
}

/* The stream that a call reads or writes, NULL if it is none of stdio's. */
static FILE *stream_of(enum call call, const long args[7])
{
	switch (call) {
	case CALL_fputc:
	case CALL_putc:
	case CALL_fputs:
		return (FILE *)args[1];
	case CALL_fgets:
		return (FILE *)args[2];
	case CALL_fwrite:
		return (FILE *)args[3];
	case CALL_fflush:
		return (FILE *)args[0];
	case CALL_puts:
		return stdout;
	default:
		return NULL;
	}
}

static long failure(enum call call, const long args[7], int error)
{
	FILE *stream = stream_of(call, args);
	if (stream)
		stream->_flags |= STREAM_HAS_FAILED;
	errno = error;
	switch (calls[call].returns) {
	case RETURNS_MINUS_1:
		return -1;
	case RETURNS_ERROR:
		return error;
	default:
		return 0;
	}
}

/* Needed before dlsym() can be asked, which itself needs them. The former are of an address sanitizer, if there is one. */
#define ALLOCATORS(X) X(malloc) X(calloc) X(realloc) X(free)
#define X(name)                                                   \
	extern char __interceptor_##name[] __attribute__((weak)); \
	extern char __libc_##name[];
ALLOCATORS(X)
#undef X

static void *real(enum call call)
{
	static void *found[N_CALLS];
	switch (call) {
#define X(name)           \
	case CALL_##name: \
		return __interceptor_##name ? __interceptor_##name : __libc_##name;
		ALLOCATORS(X)
#undef X
	default:
		if (!found[call])
			found[call] = dlsym(RTLD_NEXT, calls[call].name);
		return found[call];
	}
}

static long pass_on(enum call call, const long args[7])
{
	long (*fn)(long, long, long, long, long, long, long);
	*(void **)&fn = real(call);
	return fn(args[0], args[1], args[2], args[3], args[4], args[5], args[6]);
}

static long pass_on_counted(enum call call, struct site *site, const long args[7])
{
	struct site *holder = before(call, args);
	long ret = pass_on(call, args);
	int error = errno;
	if (call == CALL_fork && ret == 0)
		armed = false;
	after(call, site, holder, args, ret);
	errno = error;
	return ret;
}

/* What cannot be said on standard error is not. Of a child that is to become another program that alone is looked at. */
static bool is_counted(enum call call, const long args[7])
{
	return (armed || (table && call == CALL_execv)) && stream_of(call, args) != stderr;
}

long inject_call(enum call call, void *address, long args[7])
{
	if (!is_counted(call, args))
		return pass_on(call, args);
	uint64_t detail = calls[call].detail == NO_DETAIL ? 0 : (uint32_t)args[calls[call].detail];
	struct site *site = site_of(call, (uintptr_t)address, detail);
	if (!site)
		return pass_on(call, args);
	uint64_t nth = atomic_fetch_add(&site->count, 1) + 1;
	const struct plan *plan = plan_for(site, nth);
	bool fails = plan || (calls[call].takes != TAKES_NOTHING && all_fails[calls[call].takes]);
	if (!fails || calls[call].returns == RETURNS_NOTHING)
		return pass_on_counted(call, site, args);
	site->failed++;
	if (plan && strcmp(plan->mode, "late") == 0)
		pass_on_counted(call, site, args);
	if (plan && strcmp(plan->mode, "on") == 0)
		all_fails[calls[call].takes] = true;
	return failure(call, args, plan ? plan->error : calls[call].takes == TAKES_FD ? EMFILE : ENOMEM);
}

/* ---- Beginning and end ----------------------------------------------- */

static int note_module(struct dl_phdr_info *info, size_t size, void *opaque)
{
	const char *slash = strrchr(info->dlpi_name, '/');
	struct module *module = &modules[n_modules];
	(void)size;
	(void)opaque;
	/* What the loader and this library do is not the program's. */
	if (n_modules == MAX_MODULES || strstr(info->dlpi_name, "/ld-linux") || strstr(info->dlpi_name, "inject.so") || strstr(info->dlpi_name, "linux-vdso"))
		return 0;
	snprintf(module->name, sizeof module->name, "%s", slash ? slash + 1 : "program");
	module->base = info->dlpi_addr;
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			module->end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
	n_modules++;
	return 0;
}

static void read_plans(const char *text)
{
	int used = 0;
	for (; text && n_plans < MAX_PLANS; text += used) {
		struct plan *plan = &plans[n_plans];
		if (sscanf(text, " %31s %31s %lx %lx %lu %lu %d %7[a-z]%n", plan->call, plan->module, &plan->offset, &plan->detail, &plan->first, &plan->last,
			   &plan->error, plan->mode, &used) < 8)
			return;
		n_plans++;
		used += text[used] == ';';
	}
}

__attribute__((constructor)) static void open_table(void)
{
	const char *path = getenv("FAULTS_TABLE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	for (enum call call = 0; call < N_CALLS; call++)
		real(call);
	if (fd < 0)
		return;
	void *mem = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mem == MAP_FAILED || ((struct table *)mem)->pid)
		return;
	table = mem;
	table->pid = (uint64_t)getpid();
	const char *part = getenv("FAULTS_LOCK");
	if (part && sscanf(part, "%zu %zu", &locked.offset, &locked.len) != 2)
		_exit(EXIT_FAILURE);
	read_plans(getenv("FAULTS_PLAN"));
	dl_iterate_phdr(note_module, NULL);
}

/* What the program has forgotten to close. Its sandbox allows this question. */
__attribute__((destructor)) static void count_fds(void)
{
	struct stat st;
	if (!armed)
		return;
	armed = false;
	for (int fd = 3; fd < MAX_FDS; fd++)
		table->n_fds += fstat(fd, &st) == 0;
}

static int (*real_main)(int argc, char **argv, char **envp);

static int armed_main(int argc, char **argv, char **envp)
{
	armed = table;
	return real_main(argc, argv, envp);
}

/* Where the program begins: what libraries do before that is theirs. */
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*finish)(void), void (*loader)(void), void *stack);

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*finish)(void), void (*loader)(void), void *stack)
{
	int (*start)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
	*(void **)&start = dlsym(RTLD_NEXT, "__libc_start_main");
	real_main = main;
	return start(armed_main, argc, argv, init, finish, loader, stack);
}
