/* The screen of `top`: ncurses is used here and nowhere else. One at a time, one thread. */
#ifndef CLI_TOP_SCREEN_H
#define CLI_TOP_SCREEN_H

#include "cli/top_model.h"

/* What is written besides the VMs. */
struct top_page {
	const char *message;  /* last line; NULL: the keys */
	const char *question; /* instead of it, with `answer` and the cursor after it; NULL: none */
	const char *answer;
	bool is_help; /* the keys at length instead of the VMs */
};

/* False when the terminal's kind is not known to the terminal library. What crashes from now on gives the terminal back first. */
bool top_screen_open(void);

/* Gives the terminal back as it was. */
void top_screen_close(void);

/* How many VMs it has room for; takes in a change of the terminal's size. */
size_t top_screen_rows(void);

void top_screen_draw(const struct top_model *model, const struct top_page *page, int64_t now_ms);

/* The next key that is there already: a character, or one of these. TOP_KEY_NONE: there is none. */
enum top_key {
	TOP_KEY_NONE = -1,
	TOP_KEY_UP = 256,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_FIRST,
	TOP_KEY_LAST,
	TOP_KEY_ENTER,
	TOP_KEY_ERASE,
	TOP_KEY_ESCAPE,
	TOP_KEY_REDRAW,
	TOP_KEY_OTHER,
};
int top_screen_key(void);

#endif
