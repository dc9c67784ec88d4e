/* feedpage.c - the last page of the store, kept for all readers whose position is inside it; see
 * feed.h. */
#include "broker/core/feedinside.h"

void feedpage_empty(struct feed *f)
{
    for (unsigned i = 0; i < f->page.n; i++)
        f->calls->drop(f->self, &f->page.slots[i].event);
    mem_free(&f->page.slots);
    buf_free(&f->page.bytes);
    f->page = (struct feed_kept_page){0};
}

/* The bytes of the page; they stay where they are from now on. */
static void copy_bytes(struct buf *to, const struct feed_page *page)
{
    size_t n = 0;
    for (unsigned i = 0; i < page->n_records; i++)
        n += page->records[i].body.n;
    for (unsigned i = 0; i < page->n_begins; i++)
        n += page->begins[i].body.n;
    buf_grow(to, n + 1);
}

static struct span copied(struct buf *to, struct span s)
{
    const uint8_t *at = to->p + to->n;
    buf_add(to, s.p, s.n);
    return span_of(at, s.n);
}

struct page_begin {
    struct id run;
    struct span body;
    UT_hash_handle hh;
};

static struct page_begin *index_begins(struct buf *bytes, const struct feed_page *page,
                                       struct page_begin *all)
{
    struct page_begin *index = NULL;
    uint64_t kind;
    bool begins;
    for (unsigned i = 0; i < page->n_begins; i++) {
        struct page_begin *known = NULL;
        all[i].run = feed_run_of(page->begins[i].body, &kind, &begins);
        HASH_FIND(hh, index, &all[i].run, sizeof all[i].run, known);
        if (known)
            continue;
        all[i].body = copied(bytes, page->begins[i].body);
        HASH_ADD(hh, index, run, sizeof all[i].run, &all[i]);
    }
    return index;
}

void feedpage_keep(struct feed *f, uint64_t after, const struct feed_page *page)
{
    struct page_begin *all = mem_zalloc(page->n_begins, sizeof *all), *found;
    feedpage_empty(f);
    f->page.after = after;
    f->page.next = page->next;
    f->page.n = page->n_records;
    f->page.slots = mem_zalloc(page->n_records, sizeof *f->page.slots);
    copy_bytes(&f->page.bytes, page);
    struct page_begin *index = index_begins(&f->page.bytes, page, all);
    for (unsigned i = 0; i < page->n_records; i++) {
        struct feed_slot *slot = &f->page.slots[i];
        uint64_t kind;
        bool begins;
        slot->lsn = page->records[i].lsn;
        slot->record = copied(&f->page.bytes, page->records[i].body);
        struct id run = feed_run_of(slot->record, &kind, &begins);
        found = NULL;
        if (!begins && !id_is_zero(run))
            HASH_FIND(hh, index, &run, sizeof run, found);
        slot->begin = begins ? slot->record : found ? found->body : SPAN_NONE;
    }
    HASH_CLEAR(hh, index);
    mem_free(&all);
}

bool feedpage_covers(const struct feed *f, uint64_t position)
{
    return position >= f->page.after && position < f->page.next;
}

unsigned feedpage_behind(const struct feed *f, uint64_t position)
{
    unsigned low = 0, high = f->page.n;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (f->page.slots[middle].lsn > position)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}
