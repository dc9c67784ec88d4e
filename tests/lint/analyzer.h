/* analyzer.h - what clang's analyzer has to know and cannot see. It looks at one file at a time, so
 * for all it knows error_set might return 0 and wire_decode 7, and it follows paths on which a
 * refusal is none. tests/lint/tidy.sh puts this in front of every file but those that define these
 * functions. */
#include "common/yaml.h"
#include "proto/schema.h"

#define error_set(...)    ((void)(error_set)(__VA_ARGS__), -1)
#define error_vset(...)   ((void)(error_vset)(__VA_ARGS__), -1)
#define error_errno(...)  ((void)(error_errno)(__VA_ARGS__), -1)
#define error_prefix(...) ((void)(error_prefix)(__VA_ARGS__), -1)
#define yaml_error(...)   ((void)(yaml_error)(__VA_ARGS__), -1)
#define yaml_place(...)   ((void)(yaml_place)(__VA_ARGS__), -1)
#define wire_decode(...)  ((wire_decode)(__VA_ARGS__) == 0 ? 0 : -1)
