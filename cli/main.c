#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/balloon.h"
#include "cli/command.h"
#include "cli/config.h"
#include "cli/devices.h"
#include "cli/doctor.h"
#include "cli/events.h"
#include "cli/hint.h"
#include "cli/list.h"
#include "cli/metrics.h"
#include "cli/run.h"
#include "cli/stats.h"
#include "cli/stop.h"
#include "cli/top.h"
#include "cli/unknown.h"
#include "cli/version.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
	const char *help; /* one line, no full stop */
};

/* One row per subcommand, in the order of --help. */
static const struct command commands[] = {
	{"run", cmd_run, "[SPEC.yaml] [options]", "boot a VM; its serial console is the terminal"},
	{"config", cmd_config, "[SPEC.yaml] [options]", "check, then print the resolved spec"},
	{"devices", cmd_devices, "[DRIVER]", "list the drivers, or one driver's properties"},
	{"list", cmd_list, "[NAME...]", "list the running VMs and their balloons"},
	{"balloon", cmd_balloon, "NAME [SIZE] [--wait]", "show or set a VM's balloon"},
	{"stats", cmd_stats, "NAME [options]", "show what a guest reports of its memory"},
	{"hint", cmd_hint, "NAME", "have a guest name its free pages; take them"},
	{"events", cmd_events, "NAME", "print a VM's events as they happen"},
	{"top", cmd_top, "[NAME...]", "show the running VMs, move their balloons"},
	{"metrics", cmd_metrics, "[NAME...]", "print figures of running VMs for Prometheus"},
	{"stop", cmd_stop, "NAME [--force]", "power a VM down"},
	{"doctor", cmd_doctor, "[--json]", "tell what this host can do for VMs"},
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* Words that are not in the table: each goes with dashes, too. */
static bool is_help(const char *word)
{
	return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool is_version(const char *word)
{
	return strcmp(word, "version") == 0 || strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0;
}

static int unknown_word(const char *word)
{
	struct suggest search = unknown_begin(word);
	for (size_t i = 0; i < N_COMMANDS && word[0] != '-'; i++)
		suggest_offer(&search, commands[i].name);
	suggest_offer(&search, "help");
	suggest_offer(&search, "version");
	return unknown_end(&search, NULL, word);
}

static void print_usage(FILE *out)
{
	fputs("Usage: vmm-balloon COMMAND [ARGUMENTS]\n"
	      "\n"
	      "A virtual machine monitor that moves memory between host and guest.\n"
	      "\n"
	      "Commands:\n",
	      out);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-8s %-22s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
	fputs("\n"
	      "help COMMAND, or COMMAND --help, says more of one.\n"
	      "\n"
	      "Options:\n"
	      "  -h, --help     Print this and exit\n"
	      "  -V, --version  Print the version and exit\n"
	      "\n"
	      "Exit status: 0 done, or the guest powered off; 1 the host failed; 2 usage or\n"
	      "spec; 3 the guest panicked or triple-faulted; 4 a wait ran out of time.\n",
	      out);
}

static int help(int argc, char **argv)
{
	if (argc < 2 || is_help(argv[1])) {
		print_usage(stdout);
		return COMMAND_OK;
	}
	if (is_version(argv[1])) {
		puts(VERSION_TEXT);
		return COMMAND_OK;
	}
	const struct command *command = find_command(argv[1]);
	if (!command)
		return unknown_word(argv[1]);
	char name[32], option[] = "--help";
	snprintf(name, sizeof name, "%s", command->name);
	return command->run(2, (char *[]){name, option, NULL});
}

/* A descriptor that we open must not become somebody's standard error. */
static void keep_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			_exit(COMMAND_FAILED);
}

int main(int argc, char **argv)
{
	keep_standard_fds();
	if (argc < 2) {
		print_usage(stderr);
		return COMMAND_USAGE;
	}
	const char *name = argv[1];
	if (is_help(name))
		return help(argc - 1, argv + 1);
	if (is_version(name)) {
		puts(VERSION_TEXT);
		return COMMAND_OK;
	}
	const struct command *command = find_command(name);
	return command ? command->run(argc - 1, argv + 1) : unknown_word(name);
}
