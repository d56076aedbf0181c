#include "device/page_set.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

#define WORD_BITS 64u
#define WORDS_PER_BLOCK (PAGE_SET_BLOCK / WORD_BITS)
#define MOST_RANGES (WORD_BITS / 2 + GMEM_MAX_REGIONS) /* of one word, or of a whole block */

static_assert(PAGE_SET_BLOCK_PIECES == WORDS_PER_BLOCK, "a piece lies in one word");
static_assert(PAGE_SET_MIN_RANGES >= MOST_RANGES, "there is always room to begin");

/* ---- Life ------------------------------------------------------------ */

static size_t words_for(uint64_t n_bits)
{
	return (n_bits + WORD_BITS - 1) / WORD_BITS;
}

/* Hands out words for an index of n things, from *next on; returns how many. With next NULL it only counts. */
static size_t lay_out(struct page_set_index *index, uint64_t n, uint64_t *next)
{
	size_t total = 0;
	for (unsigned i = 0; i < PAGE_SET_LEVELS; i++) {
		n = words_for(n);
		index->levels[i] = next ? next + total : NULL;
		total += n;
	}
	return total;
}

int page_set_init(struct page_set *set, const struct gmem *gmem)
{
	const struct gmem_region *last = &gmem->regions[gmem->n_regions - 1];
	uint64_t n_blocks = (last->gpa + last->len + PAGE_SET_BLOCK_BYTES - 1) / PAGE_SET_BLOCK_BYTES;
	uint64_t n_words = n_blocks * WORDS_PER_BLOCK;

	*set = (struct page_set){.gmem = gmem};
	size_t n_some = lay_out(&set->some, n_words, NULL), n_whole = lay_out(&set->whole, n_blocks, NULL);
	size_t len_bytes = (n_words + n_some + n_whole) * sizeof(uint64_t);
	void *memory = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	set->pages = memory;
	set->len_bytes = len_bytes;
	lay_out(&set->some, n_words, set->pages + n_words);
	lay_out(&set->whole, n_blocks, set->pages + n_words + n_some);
	return 0;
}

void page_set_finish(struct page_set *set)
{
	if (set->pages)
		munmap(set->pages, set->len_bytes);
	set->pages = NULL;
}

/* ---- Indices --------------------------------------------------------- */

static bool is_in(const struct page_set_index *index, uint64_t i)
{
	return index->levels[0][i / WORD_BITS] >> i % WORD_BITS & 1;
}

/* Sets a bit on a level. Returns whether its word was 0. */
static inline bool set_bit(struct page_set_index *index, unsigned level, uint64_t i)
{
	uint64_t *word = &index->levels[level][i / WORD_BITS], before = *word;
	*word = before | 1ULL << i % WORD_BITS;
	return !before;
}

static inline void put_in(struct page_set_index *index, uint64_t i)
{
	if (!set_bit(index, 0, i))
		return;
	index->n_words++;
	for (unsigned level = 1; level < PAGE_SET_LEVELS; level++)
		if (!set_bit(index, level, i /= WORD_BITS))
			break;
}

/* Stores a word of the lowest level of which some bits went. */
static void store_rest(struct page_set_index *index, uint64_t i, uint64_t rest)
{
	index->levels[0][i] = rest;
	index->n_words -= !rest;
	for (unsigned level = 1; level < PAGE_SET_LEVELS && !rest; level++, i /= WORD_BITS)
		rest = index->levels[level][i / WORD_BITS] &= ~(1ULL << i % WORD_BITS);
}

static void take_out(struct page_set_index *index, uint64_t i)
{
	store_rest(index, i / WORD_BITS, index->levels[0][i / WORD_BITS] & ~(1ULL << i % WORD_BITS));
}

/* The first word of the lowest level that is not 0; there is one. *top: where to begin on the top level, and where it was found. */
static uint64_t first_word(const struct page_set_index *index, size_t *top)
{
	while (!index->levels[PAGE_SET_LEVELS - 1][*top])
		++*top;
	uint64_t i = *top;
	for (unsigned level = PAGE_SET_LEVELS; --level > 0;)
		i = i * WORD_BITS + (unsigned)__builtin_ctzll(index->levels[level][i]);
	return i;
}

/* ---- Pages in and out ------------------------------------------------ */

/* The bits of the word of `page` from there up to `end` or the word's end; *stop: where that is. */
static uint64_t mask_of(uint64_t page, uint64_t end, uint64_t *stop)
{
	*stop = page / WORD_BITS * WORD_BITS + WORD_BITS;
	*stop = *stop < end ? *stop : end;
	return UINT64_MAX >> (WORD_BITS - (*stop - page)) << page % WORD_BITS;
}

static unsigned count_bits(uint64_t word)
{
	return (unsigned)__builtin_popcountll(word);
}

static unsigned count_pieces(uint64_t word)
{
	return count_bits(word & ~(word << 1));
}

/* What a set has more of than before. */
struct change {
	uint64_t n_pages, n_pieces;
};

/* A word changes that had or gets some of the pages of a run already, which is rare. */
static inline void count_anew(struct change *change, uint64_t before, uint64_t after)
{
	change->n_pages += (uint64_t)count_bits(after) - count_bits(before);
	change->n_pieces += (uint64_t)count_pieces(after) - count_pieces(before);
}

/* n pages of one run, none of which is in the word yet: a piece more, but for those that it touches. */
static inline void count_new(struct change *change, uint64_t word, uint64_t mask, uint64_t n)
{
	change->n_pages += n;
	change->n_pieces += 1 - (uint64_t) !!(word & mask << 1) - (uint64_t) !!(word & mask >> 1);
}

static void count_in(struct page_set *set, struct change change)
{
	set->n_pages += change.n_pages;
	set->n_pieces += change.n_pieces;
}

static bool is_all_in(const struct page_set *set, uint64_t block)
{
	const uint64_t *words = set->pages + block * WORDS_PER_BLOCK;
	uint64_t all = UINT64_MAX;
	for (unsigned i = 0; i < WORDS_PER_BLOCK; i++)
		all &= words[i];
	return all == UINT64_MAX;
}

static void note_whole(struct page_set *set, uint64_t block)
{
	if (is_in(&set->whole, block) || !is_all_in(set, block))
		return;
	put_in(&set->whole, block);
	set->n_whole++;
}

static void note_broken(struct page_set *set, uint64_t block)
{
	if (!is_in(&set->whole, block))
		return;
	take_out(&set->whole, block);
	set->n_whole--;
}

/* Whether a word has any page is a toss-up where they come at random: its bit in the index is set again rather than asked for. */
static inline void add_run(struct page_set *set, struct page_run run, struct change *change)
{
	uint64_t end = (uint64_t)run.first + run.count, stop;
	for (uint64_t page = run.first; page < end; page = stop) {
		uint64_t mask = mask_of(page, end, &stop), *at = &set->pages[page / WORD_BITS], word = *at;
		if (word & mask)
			count_anew(change, word, word | mask);
		else
			count_new(change, word, mask, stop - page);
		put_in(&set->some, page / WORD_BITS);
		*at = word |= mask;
		/* One look at a block for each run; a word that is not full tells mostly that it is not whole. */
		if (word == UINT64_MAX && (stop == end || stop % PAGE_SET_BLOCK == 0))
			note_whole(set, page / PAGE_SET_BLOCK);
	}
}

void page_set_add(struct page_set *set, const struct page_run *runs, size_t n)
{
	struct change change = {0};
	for (size_t i = 0; i < n; i++)
		add_run(set, runs[i], &change);
	count_in(set, change);
}

static void remove_run(struct page_set *set, struct page_run run)
{
	struct change change = {0};
	uint64_t end = (uint64_t)run.first + run.count, stop;
	for (uint64_t page = run.first; page < end; page = stop) {
		uint64_t mask = mask_of(page, end, &stop), *word = &set->pages[page / WORD_BITS];
		if (!(*word & mask))
			continue;
		count_anew(&change, *word, *word & ~mask);
		*word &= ~mask;
		if (!*word)
			take_out(&set->some, page / WORD_BITS);
		note_broken(set, page / PAGE_SET_BLOCK);
	}
	count_in(set, change);
}

void page_set_remove(struct page_set *set, const struct page_run *runs, size_t n)
{
	for (size_t i = 0; i < n && set->n_pages; i++)
		remove_run(set, runs[i]);
}

void page_set_clear(struct page_set *set)
{
	/* 64 words of pages at a time. */
	for (size_t top = 0; set->n_pages;)
		remove_run(set, (struct page_run){.first = (uint32_t)(first_word(&set->some, &top) * WORD_BITS * WORD_BITS), .count = WORD_BITS * WORD_BITS});
}

uint64_t page_set_most_broken(const struct page_set *set)
{
	uint64_t n_pieces = set->n_pieces - set->n_whole * PAGE_SET_BLOCK_PIECES;
	uint64_t n_blocks = set->some.n_words * (WORD_BITS / WORDS_PER_BLOCK) - set->n_whole;
	return n_pieces < n_blocks ? n_pieces : n_blocks;
}

/* ---- Taking ---------------------------------------------------------- */

struct output {
	struct gmem_range *next;
	const struct gmem_range *last; /* up to where a word, or a block, may begin: there is room for all that it can have */
	uint64_t max_pages;
	uint64_t n_pages, n_pieces;
	const struct gmem_region *region; /* of the last range: the next lies there or further up */
	uint64_t region_end;
	uint64_t end; /* of the last range; no page begins at 1 */
};

static void emit_to_regions(struct output *out, uint64_t gpa, uint64_t end)
{
	while (gpa < end) {
		while (gpa - out->region->gpa >= out->region->len)
			out->region++;
		out->region_end = out->region->gpa + out->region->len;
		out->end = end < out->region_end ? end : out->region_end;
		*out->next++ = (struct gmem_range){.gpa = gpa, .len = out->end - gpa};
		gpa = out->end;
	}
}

static inline void emit(struct output *out, uint64_t first, uint64_t count)
{
	uint64_t gpa = first << PFN_SHIFT, end = gpa + (count << PFN_SHIFT);
	out->n_pages += count;
	out->n_pieces++;
	if (end > out->region_end) {
		emit_to_regions(out, gpa, end);
		return;
	}
	if (gpa == out->end)
		out->next[-1].len += end - gpa;
	else
		*out->next++ = (struct gmem_range){.gpa = gpa, .len = end - gpa};
	out->end = end;
}

/* All pages of a word; the index of such words is left to the caller. */
static inline void take_word(struct page_set *set, uint64_t i, struct output *out)
{
	uint64_t word = set->pages[i], first = i * WORD_BITS;
	set->pages[i] = 0;
	if (word == UINT64_MAX) {
		emit(out, first, WORD_BITS);
		note_broken(set, i / WORDS_PER_BLOCK);
		return;
	}
	while (word) {
		unsigned from = (unsigned)__builtin_ctzll(word), count = (unsigned)__builtin_ctzll(~(word >> from));
		emit(out, first + from, count);
		word &= word + (word & -word); /* the carry of the lowest page goes through its run */
	}
}

static void take_block(struct page_set *set, uint64_t block, struct output *out)
{
	emit(out, block * PAGE_SET_BLOCK, PAGE_SET_BLOCK);
	out->n_pieces += PAGE_SET_BLOCK_PIECES - 1;
	for (uint64_t i = block * WORDS_PER_BLOCK; i < (block + 1) * WORDS_PER_BLOCK; i++) {
		set->pages[i] = 0;
		take_out(&set->some, i);
	}
	note_broken(set, block);
}

/* Where the host's pages are larger, none of them is cut: only those of which all pages are in the set get into one. */
static inline bool is_amid_a_host_page(const struct page_set *set, const struct output *out)
{
	uint64_t page = set->gmem->page_size;
	return page > PFN_BYTES && (out->end - out->region->gpa) & (page - 1);
}

static inline bool has_room(const struct page_set *set, const struct output *out)
{
	return out->next <= out->last && (out->n_pages < out->max_pages || is_amid_a_host_page(set, out));
}

static void take_blocks(struct page_set *set, struct output *out)
{
	size_t top = 0;
	while (set->n_whole && has_room(set, out)) {
		uint64_t i = first_word(&set->whole, &top);
		take_block(set, i * WORD_BITS + (unsigned)__builtin_ctzll(set->whole.levels[0][i]), out);
	}
}

static void take_words(struct page_set *set, struct output *out)
{
	size_t top = 0;
	while (set->n_pages > out->n_pages && has_room(set, out)) {
		uint64_t i = first_word(&set->some, &top), bits = set->some.levels[0][i];
		for (; bits && has_room(set, out); bits &= bits - 1)
			take_word(set, i * WORD_BITS + (unsigned)__builtin_ctzll(bits), out);
		store_rest(&set->some, i, bits);
	}
}

size_t page_set_take(struct page_set *set, bool whole, struct gmem_range *ranges, size_t max, uint64_t max_pages)
{
	assert(max >= PAGE_SET_MIN_RANGES);
	struct output out = {.next = ranges, .last = ranges + max - MOST_RANGES, .max_pages = max_pages, .region = set->gmem->regions, .end = 1};
	if (whole)
		take_blocks(set, &out);
	else
		take_words(set, &out);
	set->n_pages -= out.n_pages;
	set->n_pieces -= out.n_pieces;
	return (size_t)(out.next - ranges);
}
