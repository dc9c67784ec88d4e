/* termmark.h - for term.c and termout.c only: how a page says colours and cursor moves until it is
 * printed: a byte that UTF-8 never has, then a letter. */
#ifndef LB_COMMON_TERMMARK_H
#define LB_COMMON_TERMMARK_H

#define TERM_MARK 0xfe

#define TERM_MARK_GOOD  'g'
#define TERM_MARK_BAD   'r'
#define TERM_MARK_WARN  'y'
#define TERM_MARK_FAINT 'f'
#define TERM_MARK_BOLD  'b'
#define TERM_MARK_OFF   '0'
#define TERM_MARK_LINE  'K' /* erases the rest of the line */
#define TERM_MARK_BELOW 'J' /* erases the rest of the screen */
#define TERM_MARK_FIRST 'H' /* to the first column */
#define TERM_MARK_UP    'U' /* a line up */

#endif
