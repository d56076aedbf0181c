#include "cli/unknown.h"

#include <string.h>

#include "cli/command.h"
#include "util/log.h"

struct suggest unknown_begin(const char *word)
{
	word += strspn(word, "-");
	return (struct suggest){.word = word, .len = strcspn(word, "=")};
}

int unknown_end(const struct suggest *search, const char *command, const char *word)
{
	bool is_option = word[0] == '-';
	const char *what = is_option ? "option" : "subcommand";

	if (search->nearest)
		log_line(LOG_LEVEL_ERROR, command, "unknown %s '%s'; did you mean '%s%s'?", what, word, is_option ? "--" : "", search->nearest);
	else if (command)
		log_line(LOG_LEVEL_ERROR, command, "unknown %s '%s'; see vmm-balloon help %s", what, word, command);
	else
		log_line(LOG_LEVEL_ERROR, NULL, "unknown %s '%s'; see vmm-balloon --help", what, word);
	return COMMAND_USAGE;
}
