#include "control/json_parse.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Before each block of jansson's: its neighbours among those of one parse, in a ring. Outside of a parse a block is alone. */
struct block {
	alignas(max_align_t) struct block *next;
	struct block *prev;
};

/* jansson's allocation functions have no argument through which it could be reached. */
static struct {
	bool is_on;
	struct block blocks;
	jmp_buf out;
} parse;

static void *allocate(size_t size)
{
	struct block *block = size <= SIZE_MAX - sizeof *block ? malloc(sizeof *block + size) : NULL;

	if (!block && parse.is_on)
		longjmp(parse.out, 1);
	if (!block)
		return NULL;
	block->next = block->prev = block;
	if (parse.is_on) {
		block->next = parse.blocks.next;
		block->prev = &parse.blocks;
		block->next->prev = block->prev->next = block;
	}
	return block + 1;
}

void json_release(void *of_jansson)
{
	if (!of_jansson)
		return;
	struct block *block = (struct block *)of_jansson - 1;
	block->next->prev = block->prev;
	block->prev->next = block->next;
	free(block);
}

/* Before main(): every block has to be one of these. */
__attribute__((constructor)) static void set_functions(void)
{
	json_set_alloc_funcs(allocate, json_release);
}

static void end_parse(void)
{
	parse.is_on = false;
	parse.blocks.next->prev = parse.blocks.prev;
	parse.blocks.prev->next = parse.blocks.next;
}

json_t *json_parse(const char *text, size_t len, size_t flags, json_error_t *error)
{
	parse.blocks.next = parse.blocks.prev = &parse.blocks;
	parse.is_on = true;
	if (setjmp(parse.out) == 0) {
		json_t *value = json_loadb(text, len, flags, error);
		end_parse();
		return value;
	}
	parse.is_on = false;
	for (struct block *block = parse.blocks.next, *next; block != &parse.blocks; block = next) {
		next = block->next;
		free(block);
	}
	memset(error, 0, sizeof *error);
	snprintf(error->text, sizeof error->text, "out of memory");
	return NULL;
}
