#include "cli/top_screen.h"

#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/top_row.h"

#define HEADING_ROW 1
#define FIRST_ROW 2
#define ESCAPE_MS 25

static const char keys[] = "Up Down select  t set target  + - step  ? help  q quit";
static const char *const help[] = {
	"Up Down, k j      select a VM; PgUp PgDn Home End too",
	"t, Enter          set the target of its balloon: 512M, 1G, 0",
	"+ -               move the target by a sixteenth of the VM's RAM",
	"Ctrl-L            draw anew",
	"q                 quit",
	"",
	"TARGET            what the balloon is to take from the guest",
	"ACTUAL            what it has taken",
	"RSS               what the host holds of the guest's RAM",
	"FREE, AVAILABLE   what the guest says it has",
	"RECLAIM/S         how fast the balloon grows, - shrinks",
	"",
	"Any key goes back.",
};

/* What a crash has to put back: no library can be called then. */
static struct termios modes_before;

/* ---- Opening --------------------------------------------------------- */

/* The default is in force again (SA_RESETHAND): the status that the parent sees tells of the signal. */
static void on_crash(int signo)
{
	/* Leave the alternate screen, show the cursor (xterm's control sequences, which all of its kind know). */
	static const char leave[] = "\033[?1049l\033[?25h\033[0m\r\n";
	ssize_t written = write(STDOUT_FILENO, leave, sizeof leave - 1);

	(void)written;
	tcsetattr(STDIN_FILENO, TCSANOW, &modes_before);
	raise(signo);
}

static void handle_crashes(void)
{
	static const int signals[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
	struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND | SA_NODEFER};

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		sigaction(signals[i], &action, NULL);
}

bool top_screen_open(void)
{
	if (tcgetattr(STDIN_FILENO, &modes_before) < 0)
		return false;
	setlocale(LC_CTYPE, "");
	if (!newterm(NULL, stdout, stdin))
		return false;
	handle_crashes();
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	set_escdelay(ESCAPE_MS);
	return true;
}

void top_screen_close(void)
{
	endwin();
}

/* ---- Drawing --------------------------------------------------------- */

/* Follows the terminal by itself, whoever got the SIGWINCH. */
static void follow_size(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0 && (size.ws_row != LINES || size.ws_col != COLS))
		resizeterm(size.ws_row, size.ws_col);
}

size_t top_screen_rows(void)
{
	follow_size();
	return LINES > FIRST_ROW + 2 ? (size_t)(LINES - FIRST_ROW - 1) : 1;
}

/* Clipped at the right edge; each character takes one cell. */
static void put_line(int row, attr_t attributes, const char *text)
{
	int cells = 0, len = 0;

	for (; text[len] && cells < COLS; cells++)
		do
			len++;
		while (((unsigned char)text[len] & 0xc0) == 0x80); /* the rest of a UTF-8 character */
	attrset(attributes);
	mvaddnstr(row, 0, text, len);
	for (; cells < COLS; cells++)
		addch(' ');
	attrset(A_NORMAL);
}

static void put_vms(const struct top_model *model, int64_t now_ms)
{
	struct top_layout layout = top_layout(model, (size_t)COLS, strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
	char line[TOP_LINE_MAX];
	int row = FIRST_ROW;

	put_line(HEADING_ROW, A_BOLD, top_heading(&layout, line));
	for (size_t i = model->first; i < model->n && row < LINES - 1; i++, row++)
		put_line(row, i == model->selected ? A_REVERSE : A_NORMAL, top_row(&layout, model->vms[i], now_ms, line));
	if (model->n == 0)
		put_line(FIRST_ROW, A_NORMAL, "No VM is running.");
}

static void put_help(void)
{
	for (int i = 0; i < (int)(sizeof help / sizeof help[0]) && HEADING_ROW + i < LINES - 1; i++)
		put_line(HEADING_ROW + i, A_NORMAL, help[i]);
}

void top_screen_draw(const struct top_model *model, const struct top_page *page, int64_t now_ms)
{
	char line[TOP_LINE_MAX];

	follow_size();
	erase();
	put_line(0, A_NORMAL, top_summary(model, line));
	if (page->is_help)
		put_help();
	else
		put_vms(model, now_ms);
	if (!page->question)
		put_line(LINES - 1, page->message ? A_BOLD : A_NORMAL, page->message ? page->message : keys);
	else
		mvprintw(LINES - 1, 0, "%.*s%s", COLS > 40 ? COLS - 34 : 6, page->question, page->answer);
	curs_set(page->question != NULL);
	refresh();
}

/* ---- Keys ------------------------------------------------------------ */

int top_screen_key(void)
{
	int key = getch();

	switch (key) {
	case ERR:
		return TOP_KEY_NONE;
	case KEY_UP:
		return TOP_KEY_UP;
	case KEY_DOWN:
		return TOP_KEY_DOWN;
	case KEY_PPAGE:
		return TOP_KEY_PAGE_UP;
	case KEY_NPAGE:
		return TOP_KEY_PAGE_DOWN;
	case KEY_HOME:
		return TOP_KEY_FIRST;
	case KEY_END:
		return TOP_KEY_LAST;
	case KEY_ENTER:
	case '\r':
	case '\n':
		return TOP_KEY_ENTER;
	case KEY_BACKSPACE:
	case 0x7f:
	case '\b':
		return TOP_KEY_ERASE;
	case 0x1b:
		return TOP_KEY_ESCAPE;
	case 'L' & 0x1f:
		clearok(curscr, TRUE);
		return TOP_KEY_REDRAW;
	case KEY_RESIZE:
		return TOP_KEY_REDRAW;
	default:
		return key >= ' ' && key < 0x7f ? key : TOP_KEY_OTHER;
	}
}
